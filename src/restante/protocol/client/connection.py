"""The client's view of a connection, and the reading of replies.

The memory for a reply is bounded: a line by LINE_LIMIT, a list by LISTING_LIMIT and MAX_LINES.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from restante.protocol.client.effects import REST_OF_MESSAGE, Peek, Receive, Send
from restante.protocol.client.hidden_secrets import HiddenSecrets
from restante.protocol.client.replies import Status, parse_status, strip_noise
from restante.protocol.errors import (
    ConnectionLostError,
    MalformedReplyError,
    Phase,
    RemoteError,
    ServerRefusedError,
)
from restante.protocol.text import decode_text, printable

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from restante.protocol.client.effects import Dialogue

E = TypeVar("E", bound=RemoteError)

LINE_LIMIT = 65_536  # octets of one line of a reply; RFC 1939 section 3 has 512, servers have more
STATUS_LIMIT = 512  # octets of a status line, with its end: RFC 1939 section 3
LISTING_LIMIT = 64 * 1024 * 1024  # octets of a list
MAX_LINES = 1_000_000  # of a list: short lines take far more memory than their octets

_MESSAGE_COMMANDS = ("TOP", "RETR")  # their replies have lines of any sender

SYSTEM_FAILURES = ("SYS/TEMP", "SYS/PERM")  # codes of failures, whatever is before them: RFC 3206

MAX_EMPTY = 3  # empty lines before a reply that are ignored


class LineBlocks(NamedTuple):
    """How a long list is read many lines at a time, which takes a tenth of the time.

    Attributes:
        regular: matches as many lines as possible that need no second look, with their CR LF.
        take: is called with the octets of such lines.
    """

    regular: re.Pattern[bytes]
    take: Callable[[bytes], object]


@dataclass(slots=True, eq=False)
class ServerPeer:
    """The state of the server, and its octets that were not read yet."""

    unread: bytearray = field(default_factory=bytearray)
    phase: Phase = Phase.GREETING
    command: str = ""  # the last one, as it may be shown
    outstanding: int = 0  # commands sent whose replies have not been read
    replies: int = 0  # that were begun: each has a time of its own
    bare_lf: bool = False  # its lines end with LF alone
    broken: bool = False  # the stream has no known position after that
    multiline_command: str = ""  # the one whose reply ended last, if that had many lines
    oddities: dict[str, str] = field(default_factory=dict)  # errors that were tolerated: id, text
    secrets: HiddenSecrets = field(default_factory=HiddenSecrets)
    trace: Callable[[str, str], None] | None = None  # gets "<" or ">", and a line without secrets
    notice: Callable[[str, str], None] | None = None  # gets each oddity

    def redact(self, text: str) -> str:
        """Return a text without the secrets."""
        return self.secrets.redact(text)

    def redact_status(self, status: Status) -> Status:
        """Return a status as it may be shown."""
        return status._replace(text=self.redact(status.text))

    def excerpt(self, octets: bytes, limit: int = 100) -> str:
        """Return at most `limit` characters of the server's octets, for the text of an error.

        Secrets are removed before the cut, because half of one would not be found.
        """
        text = self.redact(decode_text(octets).rstrip("\r\n"))
        return f"{text[:limit]}..." if len(text) > limit else text

    def note_oddity(self, id: str, text: str) -> None:  # noqa: A002  # see RemoteError
        """Note an error of the server that does not hinder reading, the first with this id."""
        if id not in self.oddities:
            self.oddities[id] = self.redact(text)
            self.add_trace("<", f"({id}: {text})")
            if self.notice is not None:
                self.notice(id, self.oddities[id])

    def check_unread(self) -> None:
        """Check that no octets came without a command. Noise is ignored.

        Raises MalformedReplyError: after a multi-line reply it is not-stuffed, else desync. Raises
        ServerRefusedError: the server reports a failure of its own accord.
        """
        # Counting replies: POP3 has no tags, so a reply belongs to a command only by its place. One
        # line too many shifts all later replies: the +OK of a RETR would confirm a DELE. So the
        # client sends nothing while a line is there that no command asked for.
        unexpected = strip_noise(bytes(self.unread))
        if self.unread and not unexpected:
            command = self.multiline_command or self.command
            self.note_oddity(
                "odd-reply", f"an empty line or noise came after the answer to {command}"
            )
            self.unread.clear()
        if unexpected:
            if failure := self.reported_failure():
                raise failure
            extra = self.excerpt(unexpected, 60).partition("\n")[0].rstrip("\r")
            raise self.unexpected_line(extra)

    def reported_failure(self) -> ServerRefusedError | None:
        """Return the failure that the server reports after a reply, None for anything else.

        Dovecot confirms PASS and STLS, and then sends -ERR [SYS/TEMP] if it cannot open the mailbox
        or read its certificate. It is one line with a code of RFC 3206, and nothing comes after it.
        """
        line, _, following = strip_noise(bytes(self.unread)).partition(b"\n")
        status = None if following else parse_status(line)
        if status is None or status.ok or status.code not in SYSTEM_FAILURES:
            return None
        self.broken = True
        return self.error(ServerRefusedError, "refused", status.text, status.code)

    def unexpected_line(self, extra: str) -> RemoteError:
        """Return the error of a line that no command asked for."""
        if self.multiline_command and not extra.startswith(("+OK", "-ERR")):
            text = f'the reply to {self.multiline_command} continues after its end: "{extra}"'
            return self.error(MalformedReplyError, "not-stuffed", text)
        last_reply = f"the reply to {self.command}" if self.command else "the greeting"
        text = f'more replies than commands: after {last_reply} came "{extra}"'
        return self.error(MalformedReplyError, "desync", text)

    def add_trace(self, direction: str, text: str) -> None:
        """Add a line that was sent or received to the trace."""
        if self.trace is not None:
            self.trace(direction, printable(self.redact(text.rstrip("\r\n"))))

    def error(self, kind: type[E], id: str, text: str, code: str = "") -> E:  # noqa: A002  # see RemoteError
        """Return an error with the phase and the command in which it occurred."""
        if not issubclass(kind, ServerRefusedError):
            self.broken = True
        return kind(
            id,
            self.redact(text),
            code=code,
            phase=self.phase,
            command=self.redact(self.command),
        )

    def send(self, octets: bytes, shown: bytes | None = None) -> Dialogue[None]:
        """Send a command, and remember it in `command` without its secrets.

        Raises MalformedReplyError: octets that came before it cannot be its reply.
        """
        if self.unread:
            self.check_unread()
        self.command = decode_text((octets if shown is None else shown).rstrip(b"\r\n"))
        self.add_trace(">", self.command)
        yield from Send(octets)

    def read_line(self, *, peek: bool = False) -> Dialogue[bytes]:
        """Return the next line with its LF. With `peek`, the line stays unread.

        Raises ConnectionLostError, MalformedReplyError.
        """
        searched, fresh = 0, True
        while (end := self.unread.find(b"\n", searched) + 1) == 0:
            if len(self.unread) > LINE_LIMIT:
                raise self.error(
                    MalformedReplyError, "bad-reply", f"a line of over {LINE_LIMIT} octets"
                )
            searched = len(self.unread)
            octets = yield from Receive(fresh)
            if not octets:
                raise self.connection_lost()
            self.unread += octets
            fresh = False
        line = bytes(self.unread[:end])
        if not peek:
            del self.unread[:end]
        return line

    def _take_line(self) -> bytes:
        """Return the next line with its LF if it has arrived, else b""."""
        end = self.unread.find(b"\n") + 1
        line = bytes(self.unread[:end])
        del self.unread[:end]
        return line

    def _take_block(self, regular: re.Pattern[bytes]) -> bytes:
        """Return the lines that have arrived, up to the first one that is not regular."""
        match = regular.match(self.unread)
        block = match[0] if match else b""
        del self.unread[: len(block)]
        return block

    def _check_length(self, lines: int, octets: int, limit: int) -> None:
        if octets > limit or lines > MAX_LINES:
            text = f"a list of {lines} lines and {octets} octets, and no end"
            raise self.error(MalformedReplyError, "bad-reply", text)

    def connection_lost(self) -> RemoteError:
        """Return the error of a connection that ended here."""
        partial = f' after "{self.excerpt(bytes(self.unread))}"' if self.unread else ""
        return self.error(
            ConnectionLostError, "conn-lost", f"the server closed the connection{partial}"
        )

    def read_status(self) -> Dialogue[Status]:
        """Return the next status line, be it +OK or -ERR.

        Raises ConnectionLostError, MalformedReplyError: it is neither.
        """
        self.replies += 1
        line = yield from self.read_line()
        for _ in range(MAX_EMPTY):
            if line.strip():
                break
            reply = f"the answer to {self.command}" if self.command else "the greeting"
            self.note_oddity("odd-reply", f"an empty line came before {reply}")
            line = yield from self.read_line()
        status = parse_status(line)
        if status is None:
            self.add_trace("<", self.excerpt(line))
            if self.multiline_command.upper().startswith(_MESSAGE_COMMANDS):
                self.unread += b"" if self.unread else (yield from Peek(REST_OF_MESSAGE))
                if self.unread:  # it goes on, so it is the rest of a message
                    raise self.unexpected_line(self.excerpt(line))
            raise self.error(
                MalformedReplyError,
                "bad-reply",
                f'this is not a reply of POP3: "{self.excerpt(line)}"',
            )
        self.multiline_command = ""
        self.bare_lf = not line.endswith(b"\r\n")
        if status.odd:
            self.note_oddity("odd-reply", f'a reply begins "{self.excerpt(line)}"')
        if len(line) > STATUS_LIMIT and self.command:  # `pop3 check` measures the greeting
            text = f"the reply to {self.command} has {len(line)} octets, and the limit is"
            self.note_oddity("long-reply", f"{text} {STATUS_LIMIT}")
        if self.bare_lf:
            self.note_oddity("lf-ends", f'the line "{self.excerpt(line)}" ends with LF alone')
        self.add_trace("<", status.line)
        return status

    def read_ok(self, *, multiline: bool = False) -> Dialogue[Status]:
        """Return the next status line, which begins a `multiline` reply or is all of it.

        Raises ServerRefusedError: it is -ERR, or it reports a failure of the system all the same.
        Gmail answered PASS with "+OK [SYS/TEMP]" and showed an empty mailbox.
        """
        status = yield from self.read_status()
        if not status.ok or status.code in SYSTEM_FAILURES:
            if status.ok and multiline:  # its lines may follow, or not
                self.broken = True
            raise self.refusal(status)
        return status

    def refusal(
        self, status: Status, kind: type[ServerRefusedError] = ServerRefusedError
    ) -> ServerRefusedError:
        """Return the error of a status line that reports a failure, be it +OK or -ERR."""
        error = self.error(kind, "refused", status.text, status.code)
        error.says_ok = status.ok
        return error

    def read_lines(
        self,
        take: Callable[[str], object],
        limit: int = LISTING_LIMIT,
        blocks: LineBlocks | None = None,
    ) -> Dialogue[None]:
        """Call `take` with each line of a multi-line reply after its status line, unstuffed.

        Raises MalformedReplyError: it has over `limit` octets or MAX_LINES lines.
        """
        lines = octets = 0
        while True:
            if blocks is not None and (block := self._take_block(blocks.regular)):
                octets += len(block)
                lines += block.count(b"\n")
                self._check_length(lines, octets, limit)
                blocks.take(block)
                continue
            line = (self._take_line() or (yield from self.read_line())).rstrip(b"\r\n")
            if line == b".":
                break
            if line.strip() == b".":
                self.note_oddity(
                    "odd-list", f"the last line of {self.command} has blanks around its dot"
                )
                break
            octets += len(line) + 2
            lines += 1
            self._check_length(lines, octets, limit)
            take(decode_text(line[1:] if line.startswith(b".") else line))
        self.multiline_command = self.command
        self.add_trace("<", f"({lines} lines)")
