"""The client's side of a conversation: steps that a driver takes, and the reading of replies.

A dialogue is a generator. It yields a step, a driver carries it out on a socket, and its answer
comes back, so the same dialogue runs blocking, under asyncio, and joined to a server in memory:

    Send            octets to send
    Receive         the answer is octets as they come, b"" when the server hung up
    Peek            the same without an error: b"" when nothing is there in time
    StartClientTls  the answer is None, once the handshake is done and the server is proven
    MessageChunk    octets of a message, for the caller
    Compute         work that needs processor time; a driver does it where nothing else waits

Whatever the server does, what is kept here is bounded: a line by LINE_LIMIT, a list by
LISTING_LIMIT and MOST_LINES.
"""

from __future__ import annotations

import binascii
import re
import urllib.parse
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeAlias, TypeVar

from restante.protocol.client.noise import without_noise
from restante.protocol.errors import (
    ConnectionLostError,
    MalformedReplyError,
    Phase,
    RemoteError,
    ServerRefusedError,
)
from restante.protocol.text import printable

T = TypeVar("T")

LINE_LIMIT = 65_536  # octets of one line of a reply; RFC 1939 section 3 has 512, servers have more
LISTING_LIMIT = 64 * 1024 * 1024  # octets of a list
MOST_LINES = 1_000_000  # of a list: short lines take far more memory than their octets

_OF_MAIL = ("TOP", "RETR")  # commands whose replies hold lines that others wrote

A_MOMENT = 0.05  # seconds in which more of the same is there

HIDDEN = "***"  # what is shown in place of a secret
SHORT = 6  # characters: a shorter secret is hidden as a word, lest half of each text vanish


@dataclass(frozen=True, slots=True)
class Send:
    """Octets to send."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Receive:
    """More octets. `fresh` says that a new line or chunk begins, so the time for it does too."""

    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Peek:
    """What is there already, or comes within so many seconds; with 0 it takes no time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class StartClientTls:
    """TLS, now; what was received in clear behind this point must be thrown away."""


@dataclass(frozen=True, slots=True)
class MessageChunk:
    """The next octets of a message."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Compute:
    """Work that takes long because the server wanted it so. It returns nothing and never raises."""

    work: Callable[[], None]


Step: TypeAlias = Send | Receive | Peek | StartClientTls | MessageChunk | Compute
Dialogue: TypeAlias = Generator[Step, bytes, T]

_STATUS = re.compile(rb"(\+OK|-ERR)(?:[ \t]+(?:\[([A-Za-z0-9/_.-]+)\] ?)?(.*)|)", re.DOTALL)
_LIKE_A_STATUS = re.compile(
    rb"(\+OK|-ERR)(?![A-Za-z0-9])[ \t.,:;!-]*(?:\[([A-Za-z0-9/_.-]+)\][ \t:,]*)?(.*)",
    re.DOTALL | re.IGNORECASE,
)
MOST_EMPTY = 3  # empty lines that are passed over before a reply


@dataclass(frozen=True, slots=True)
class Status:
    """A status line: RFC 1939 section 3, with its response code by RFC 2449 section 8.

    Its text is what the server said, even if that holds a secret: `ServerPeer.shown` hides it.
    """

    ok: bool
    code: str  # upper case, "" where there is none
    text: str
    odd: bool = False  # it was not written as RFC 1939 has it

    @property
    def line(self) -> str:
        """The line again, as it is best shown."""
        code = f" [{self.code}]" if self.code else ""
        text = f" {self.text}" if self.text else ""
        return f"{'+OK' if self.ok else '-ERR'}{code}{text}"


def parse_status(line: bytes) -> Status | None:
    """Return what a status line says, None when it is none.

    Lower case, a comma or a colon behind the indicator, and noise before it are taken too.
    """
    line = line.rstrip(b"\r\n")
    found, odd = _STATUS.fullmatch(line), False
    if found is None:
        found, odd = _LIKE_A_STATUS.fullmatch(without_noise(line)), True
    if found is None:
        return None
    code = (found[2] or b"").decode("ascii").upper()
    return Status(found[1].upper() == b"+OK", code, is_printable(found[3] or b"").strip(), odd)


def is_printable(octets: bytes) -> str:
    """Return text from a server: UTF-8, else Latin-1, which takes every octet."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


@dataclass(slots=True)
class ServerPeer:
    """What is known of the server, and what it has sent that nobody has read yet."""

    inbox: bytearray = field(default_factory=bytearray)
    phase: Phase = Phase.GREETING
    command: str = ""  # the last one, as it may be shown
    outstanding: int = 0  # commands sent whose replies have not been read
    bare_lf: bool = False  # its lines end with LF alone
    broken: bool = False  # there is no place to go on from
    multi: str = ""  # the command whose reply ended last, where that was one of many lines
    oddities: dict[str, str] = field(default_factory=dict)  # what was read all the same: id, text
    secrets: list[str] = field(default_factory=list)  # what no text may show
    trace: Callable[[str, str], None] | None = None  # gets "<" or ">", and a line without secrets
    notice: Callable[[str, str], None] | None = None  # gets each oddity

    def keep_secret(self, *secrets: str) -> None:
        """Never show these, in no case of letters, not even where the server says them.

        The forms are plain, in base64, as in a URL, and UTF-8 that is read as Latin-1.
        """
        for secret in filter(None, secrets):
            octets = secret.encode()
            coded = binascii.b2a_base64(octets, newline=False).decode().rstrip("=")
            forms = [secret, coded, quote(secret), octets.decode("latin-1")]
            forms += [form for word in forms for form in (word.upper(), word.lower())]
            self.secrets += dict.fromkeys(forms)  # upper() may make two letters of one

    def redacted(self, text: str) -> str:
        """Return a text without the secrets."""
        for secret in self.secrets:
            form = re.escape(secret)
            whole = rf"(?<!\w){form}(?!\w)" if len(secret) < SHORT else form
            text = re.sub(whole, HIDDEN, text, flags=re.IGNORECASE)
        return text

    def shown(self, status: Status) -> Status:
        """Return a status as it may be shown."""
        return replace(status, text=self.redacted(status.text))

    def excerpt(self, octets: bytes, most: int = 100) -> str:
        """Return the beginning of what the server said, for an error's text.

        The secrets are taken out first: half of one would not be found.
        """
        text = self.redacted(is_printable(octets).rstrip("\r\n"))
        return f"{text[:most]}..." if len(text) > most else text

    def odd(self, id: str, text: str) -> None:  # noqa: A002  # see RemoteError
        """Remember something that is wrong and can be read all the same; the first of its kind."""
        if id not in self.oddities:
            self.oddities[id] = self.redacted(text)
            self.add_trace("<", f"({id}: {text})")
            if self.notice is not None:
                self.notice(id, self.oddities[id])

    def check_inbox(self) -> None:
        """Make sure that nothing came unasked; noise is passed over. Raises MalformedReplyError.

        Behind the end of a reply of many lines it is the rest of it: not-stuffed; else desync.
        """
        came = without_noise(bytes(self.inbox))
        if self.inbox and not came:
            behind = self.multi or self.command
            self.odd("odd-reply", f"an empty line or noise came behind the answer to {behind}")
            self.inbox.clear()
        if came:
            extra = self.excerpt(came, 60).partition("\n")[0].rstrip("\r")
            raise self.unasked(extra)

    def unasked(self, extra: str) -> RemoteError:
        """Return the error of a line that no command asked for."""
        if self.multi and not extra.startswith(("+OK", "-ERR")):
            text = f'the answer to {self.multi} goes on behind its end: "{extra}"'
            return self.error(MalformedReplyError, "not-stuffed", text)
        behind = f"the answer to {self.command}" if self.command else "the greeting"
        text = f'more replies than commands: behind {behind} came "{extra}"'
        return self.error(MalformedReplyError, "desync", text)

    def add_trace(self, direction: str, text: str) -> None:
        """Tell the trace what went which way."""
        if self.trace is not None:
            self.trace(direction, printable(self.redacted(text.rstrip("\r\n"))))

    def error(self, kind: type[RemoteError], id: str, text: str, code: str = "") -> RemoteError:  # noqa: A002  # see RemoteError
        """Return an error that knows where it happened."""
        self.broken = self.broken or not issubclass(kind, ServerRefusedError)
        return kind(
            id,
            self.redacted(text),
            code=code,
            phase=self.phase,
            command=self.redacted(self.command),
        )

    def send(self, octets: bytes, shown: bytes | None = None) -> Dialogue[None]:
        """Send a command, and remember it in `command` without its secrets.

        Raises MalformedReplyError: octets that came before it cannot be its reply.
        """
        if self.inbox:
            self.check_inbox()
        self.command = is_printable((octets if shown is None else shown).rstrip(b"\r\n"))
        self.add_trace(">", self.command)
        yield Send(octets)

    def line(self, *, peek: bool = False) -> Dialogue[bytes]:
        """Return the next line with its LF; with `peek` it stays there.

        Raises ConnectionLostError, MalformedReplyError.
        """
        searched, fresh = 0, True
        while (end := self.inbox.find(b"\n", searched) + 1) == 0:
            if len(self.inbox) > LINE_LIMIT:
                raise self.error(
                    MalformedReplyError, "bad-reply", f"a line of over {LINE_LIMIT} octets"
                )
            searched = len(self.inbox)
            octets = yield Receive(fresh)
            if not octets:
                raise self.lost()
            self.inbox += octets
            fresh = False
        line = bytes(self.inbox[:end])
        if not peek:
            del self.inbox[:end]
        return line

    def lost(self) -> RemoteError:
        """Return the error of a connection that ended here."""
        came = f' after "{self.excerpt(bytes(self.inbox))}"' if self.inbox else ""
        return self.error(
            ConnectionLostError, "conn-lost", f"the server closed the connection{came}"
        )

    def status(self) -> Dialogue[Status]:
        """Return the next status line, be it +OK or -ERR.

        Raises ConnectionLostError, MalformedReplyError: it is neither.
        """
        line = yield from self.line()
        for _ in range(MOST_EMPTY):
            if line.strip():
                break
            asked = f"the answer to {self.command}" if self.command else "the greeting"
            self.odd("odd-reply", f"an empty line came before {asked}")
            line = yield from self.line()
        status = parse_status(line)
        if status is None:
            self.add_trace("<", self.excerpt(line))
            if self.multi.upper().startswith(_OF_MAIL):
                self.inbox += b"" if self.inbox else (yield Peek(A_MOMENT))
                if self.inbox:  # it goes on, so it is the rest of a message
                    raise self.unasked(self.excerpt(line))
            raise self.error(
                MalformedReplyError, "bad-reply", f'no reply of POP3: "{self.excerpt(line)}"'
            )
        self.multi = ""
        self.bare_lf = not line.endswith(b"\r\n")
        if status.odd:
            self.odd("odd-reply", f'a reply begins "{self.excerpt(line)}"')
        if self.bare_lf:
            self.odd("lf-ends", f'the line "{self.excerpt(line)}" ends with LF alone')
        self.add_trace("<", status.line)
        return status

    def ok(self) -> Dialogue[Status]:
        """Return the next status line. Raises ServerRefusedError: it is -ERR."""
        status = yield from self.status()
        if not status.ok:
            raise self.error(ServerRefusedError, "refused", status.text, status.code)
        return status

    def listing(self, most: int = LISTING_LIMIT) -> Dialogue[list[str]]:
        """Return the lines of a multi-line reply behind its status line, unstuffed."""
        lines: list[str] = []
        octets = 0
        while (line := (yield from self.line()).rstrip(b"\r\n")) != b".":
            if line.strip() == b".":
                self.odd("odd-list", f"the last line of {self.command} has blanks around its dot")
                break
            octets += len(line) + 2
            if octets > most or len(lines) >= MOST_LINES:
                text = f"a list of {len(lines)} lines and {octets} octets, and no end"
                raise self.error(MalformedReplyError, "bad-reply", text)
            lines.append(is_printable(line[1:] if line.startswith(b".") else line))
        self.multi = self.command
        self.add_trace("<", f"({len(lines)} lines)")
        return lines


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One command: what is sent, and how its reply is read."""

    request: bytes
    read: Callable[[ServerPeer], Dialogue[T]]
    shown: bytes | None = None


def carry_out(peer: ServerPeer, operation: Operation[T]) -> Dialogue[T]:
    """Send one command and return what its reply says. Raises what its reader raises."""
    yield from peer.send(operation.request, operation.shown)
    return (yield from operation.read(peer))


def computed(work: Callable[[], T]) -> Dialogue[T]:
    """Return the result of work that takes long. Raises what it raises.

    A driver without threads need not know the step: then the work is done here.
    """
    results: list[T] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001  # it is raised below
            failures.append(error)

    yield Compute(run)
    if not results and not failures:
        run()
    if failures:
        raise failures[0]
    return results[0]


def pipelined(
    peer: ServerPeer,
    operations: Iterable[Operation[T]],
    window: int,
    on_reply: Callable[[T | ServerRefusedError], Any] = lambda _: None,
) -> Dialogue[list[T | ServerRefusedError]]:
    """Send commands ahead of their replies, and return what each reply said, or its error for -ERR.

    At most `window` octets of commands are under way, so that neither end waits for the other for
    ever: RFC 2449 section 6.6.
    """
    results: list[T | ServerRefusedError] = []
    waiting: deque[Operation[T]] = deque()
    under_way = 0
    to_come = iter(operations)
    held = next(to_come, None)
    while held is not None or waiting:
        batch = bytearray()
        if not waiting and peer.inbox:
            peer.check_inbox()
        while held is not None and (not waiting or under_way + len(held.request) <= window):
            batch += held.request
            under_way += len(held.request)
            waiting.append(held)
            held = next(to_come, None)
        if batch:
            peer.add_trace(">", is_printable(bytes(batch)).rstrip().replace("\r\n", ", "))
            yield Send(bytes(batch))
        while waiting and (held is None or under_way + len(held.request) > window // 2):
            operation = waiting.popleft()
            under_way -= len(operation.request)
            peer.outstanding = len(waiting)
            peer.command = is_printable(operation.request.rstrip(b"\r\n"))
            results.append((yield from _answer(peer, operation, results[-1:])))
            on_reply(results[-1])
    return results


def _answer(
    peer: ServerPeer, operation: Operation[T], last: list[T | ServerRefusedError]
) -> Dialogue[T | ServerRefusedError]:
    try:
        return (yield from operation.read(peer))
    except ServerRefusedError as denied:
        return denied
    except RemoteError as error:  # the server may have said why before it
        error.others += [denied.quoted for denied in last if isinstance(denied, ServerRefusedError)]
        raise


def quote(text: str) -> str:
    """Return a text as a URL would have it."""
    return urllib.parse.quote(text, safe="")
