"""Writes down a conversation of SMTP, between the session and its driver. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from restante.delivery.protocol.needs import ReadCommand, ReceiveMessage
from restante.developer.secrets import LineRedaction
from restante.developer.smtp_verbs import DEVELOPER_VERBS, DeveloperSmtpSession
from restante.misbehave.conversation import next_step
from restante.misbehave.effects import HangUp, Pause
from restante.misbehave.smtp.conversation import StartSmtpTls
from restante.protocol.errors import LineTooLong
from restante.protocol.server.needs import SendPart

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.delivery.protocol.needs import Conversation
    from restante.developer.sessions import SessionRecord
    from restante.protocol.server.needs import Need


def record_smtp(
    conversation: Conversation,
    session: DeveloperSmtpSession,
    get_record: Callable[[], SessionRecord],
) -> Conversation:
    """Return the same conversation, which is written down as it goes on.

    `get_record` is called when the conversation begins.
    """
    recorder = _SmtpRecorder(session, get_record())
    answer: object = None
    while True:
        try:
            step = next_step(conversation, answer)
        except StopIteration:
            recorder.note_end()
            return
        recorder.note_step(step)
        try:
            answer = yield step
        except LineTooLong as error:
            answer = error
        recorder.note_answer(step, answer)


class _SmtpRecorder:
    """Writes one session down."""

    def __init__(self, session: DeveloperSmtpSession, record: SessionRecord) -> None:
        self._session = session
        self._record = record
        self._redaction = LineRedaction(DEVELOPER_VERBS)
        self._begun = b""  # the start of a line of the server
        self._user = ""  # the last sender, or the login

    def note_step(self, step: bytes | Need[Any]) -> None:
        """Note a reply, and where the session stands."""
        match step:
            case bytes() | SendPart():
                self._note_octets(step.octets if isinstance(step, SendPart) else step)
            case Pause(seconds):
                self._record.add("-", f"waits {seconds:g} s")
            case HangUp():
                self._note_octets(b"\n" if self._begun else b"")
                self._record.add("-", "resets the connection" if step.reset else "hangs up")
        session = self._session
        self._user = session.transaction.sender or session.login or self._user
        self._record.note(
            tls=session.tls,
            user=self._user,
            state="TRANSACTION" if session.client else "AUTHORIZATION",
        )

    def _note_octets(self, octets: bytes) -> None:
        """Note the lines of the server that are whole now."""
        *lines, self._begun = (self._begun + octets).split(b"\n")
        for line in lines:
            self._record.add("S", line.removesuffix(b"\r").decode(errors="backslashreplace"))

    def note_answer(self, step: bytes | Need[Any], answer: object) -> None:
        """Note what the client sent."""
        if isinstance(step, ReadCommand):
            too_long = isinstance(answer, LineTooLong)
            octets = answer.start if isinstance(answer, LineTooLong) else answer
            assert isinstance(octets, bytes)
            shown = self._redaction.show(octets)
            text = f"{shown.text}... (too long)" if too_long else shown.text
            self._record.add("C", text, command=shown.command)
        elif isinstance(step, ReceiveMessage) and isinstance(answer, bytes):
            lines = answer.count(b"\n")
            self._record.add("C", f"({lines} lines, {len(answer)} octets)")
        elif isinstance(step, StartSmtpTls):
            self._record.add("-", "TLS begins")

    def note_end(self) -> None:
        """Note that the session came to its own end."""
        self._record.note(ending="quit" if self._session.quit else "ended by the server")
