"""Writes down a conversation of POP3, between the server's conversation and its driver. No I/O.

It sees what is said at the place where the protocol knows what it means: which line is a secret,
which message is retrieved, which messages are marked, and which session holds the maildrop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from restante.developer.secrets import LineRedaction
from restante.misbehave.conversation import pass_on, relay
from restante.misbehave.effects import HangUp, Pause
from restante.protocol.errors import LineTooLong
from restante.protocol.server.commands import VERBS
from restante.protocol.server.needs import (
    Authenticate,
    LockMaildrop,
    OpenMessage,
    SendMultiline,
    SendPart,
    StartServerTls,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from restante.developer.mailboxes import Mailboxes
    from restante.developer.sessions import SessionRecord
    from restante.protocol.server.needs import Conversation, Step
    from restante.protocol.server.session import Session

MAX_LISTED = 50  # lines of a reply, beside that of a message, which are shown
MESSAGES = frozenset({"RETR", "TOP"})
"""Verbs whose replies are mail, and only counted."""
ABOUT_ONE = frozenset({"RETR", "TOP", "DELE", "LIST", "UIDL"})
"""Verbs whose first argument is the number of a message."""

_VERBS = frozenset(verb.decode() for verb in VERBS)


def record_pop3(
    conversation: Conversation, session: Session, record: SessionRecord, mailboxes: Mailboxes
) -> Conversation:
    """Return the same conversation, which is written into `record` as it goes on."""
    recorder = _Pop3Recorder(session, record, mailboxes)

    def ask(step: Step) -> Generator[Step, Any, object]:
        recorder.note_step(step)
        answer = yield from pass_on(step)
        recorder.note_answer(step, answer)
        return answer

    reply, end = yield from relay(conversation, ask)
    recorder.note_last(reply)
    record.note(ending=end.value)
    return reply, end


class _Pop3Recorder:
    """One session: its place in a reply, and what it holds."""

    def __init__(self, session: Session, record: SessionRecord, mailboxes: Mailboxes) -> None:
        self._session = session
        self._record = record
        self._mailboxes = mailboxes
        self._redaction = LineRedaction(_VERBS)
        self._reply = _ReplyLines(record)
        self._marked: frozenset[int] = frozenset()
        record.note(tls=session.channel.tls, state=session.state.name)

    def note_step(self, step: Step) -> None:
        """Note what the server does next."""
        match step:
            case (reply, _):
                self._reply.feed(reply)
                self._reply.end()
            case SendPart(octets):
                self._reply.feed(octets)
            case StartServerTls() | SendMultiline():
                self._reply.feed(step.status)
            case Pause(seconds):
                self._record.add("-", f"waits {seconds:g} s")
            case Authenticate():
                self._record.note(claimed=step.user)
            case HangUp():
                self._reply.end()
                self._record.add("-", "resets the connection" if step.reset else "hangs up")
        self._note_state()

    def note_answer(self, step: Step, answer: object) -> None:
        """Note what came of it."""
        match step, answer:
            case (_, _), bytes() as line:
                self._note_line(line)
            case (_, _), LineTooLong() as error:
                self._note_line(error.start + b"... (too long)")
            case _, Exception():
                pass
            case LockMaildrop(identity), _:
                self._record.note(mailbox=identity.name)
                self._mailboxes.note_holder(identity.name, self._record.number)
            case OpenMessage(index, None), _:
                self._mailboxes.note_fetched(
                    self._user, self._session.view.contents.uids[index], self._record.number
                )
            case StartServerTls(), _:
                self._reply.end()
                self._record.add("-", "TLS begins")
                self._record.note(tls=True)

    def note_last(self, reply: bytes) -> None:
        """Note the last reply."""
        self._reply.feed(reply)
        self._reply.end()
        self._note_state()

    @property
    def _user(self) -> str:
        return self._session.identity.name if self._session.identity else ""

    def _note_line(self, line: bytes) -> None:
        shown = self._redaction.show(line)
        verb, _, argument = shown.command.partition(" ")
        uid = self._uid_of(argument) if verb in ABOUT_ONE else ""
        self._record.add("C", shown.text, command=shown.command, mail=uid)
        self._reply.begin(verb, uid)

    def _uid_of(self, argument: str) -> str:
        """Return the unique-id of the message with the number that begins an argument, or ""."""
        number = argument.partition(" ")[0]
        uids = self._session.view.contents.uids
        is_number = number.isascii() and number.isdigit() and len(number) < 10
        return uids[int(number) - 1] if is_number and 0 < int(number) <= len(uids) else ""

    def _note_state(self) -> None:
        session, view = self._session, self._session.view
        changes: dict[str, Any] = {"state": session.state.name, "user": self._user}
        if session.user:
            changes["claimed"] = session.user
        if session.end is not None:  # noted before the last reply leaves
            changes["ending"] = session.end.value
        if view.marked != self._marked:
            self._marked = frozenset(view.marked)
            uids = tuple(view.contents.uids[index] for index in sorted(self._marked))
            changes["marked"] = uids
            self._mailboxes.note_marked(self._user, uids, self._record.number)
        self._record.note(**changes)


class _ReplyLines:
    """The octets of one reply, in lines; those of mail are counted only."""

    def __init__(self, record: SessionRecord) -> None:
        self._record = record
        self._pending = b""  # the start of a line
        self.begin("", "")

    def begin(self, verb: str, uid: str) -> None:
        """Begin the reply to a command, which is about the message with this unique-id."""
        self._shown = 1 if verb in MESSAGES else 1 + MAX_LISTED  # lines, from now on
        self._uid = uid
        self._lines = self._octets = 0  # that are counted only
        self._last = b""

    def feed(self, octets: bytes) -> None:
        """Take octets that are sent."""
        octets = self._pending + octets
        while self._shown and octets:
            line, end, rest = octets.partition(b"\n")
            if not end:
                break
            self._add(line)
            octets = rest
        self._pending = octets if self._shown else b""
        if octets and not self._shown:
            self._lines += octets.count(b"\n")
            self._octets += len(octets)
            self._last = (self._last + octets[-3:])[-3:]

    def end(self) -> None:
        """End the reply: nothing more belongs to it."""
        if self._pending:
            self._add(self._pending)
            self._pending = b""
        if self._last == b".\r\n":
            self._lines -= 1
            self._octets -= 3
        if self._octets:
            text = f"({self._lines} lines, {self._octets} octets)"
            self._record.add("S", text, mail=self._uid)
        self._lines = self._octets = 0
        self._last = b""

    def _add(self, line: bytes) -> None:
        self._shown -= 1
        text = line.removesuffix(b"\r").decode(errors="backslashreplace")
        self._record.add("S", text, mail=self._uid)
