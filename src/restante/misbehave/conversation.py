"""A session of the real server, reply by reply, for faults to change.

`in_parts` makes such a session of `restante.protocol.server.serve`: it yields an `Answer` where the
server yields octets, so that a fault sees the status line, the body and its end. `alter` is the
form of every fault: it takes a conversation and returns one. So faults add up: `a(b(session))`.
`as_octets` is the way back: the needs of the server, and `SendPart`, `Pause` and `HangUp`.

There is no I/O here, and no clock.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from restante.misbehave.effects import HangUp, Pause, ReadWhole
from restante.protocol.errors import LineTooLong, Refusal
from restante.protocol.server.arguments import MAX_DIGITS
from restante.protocol.server.needs import (
    Need,
    ReadLine,
    SendMultiline,
    SendPart,
    StartServerTls,
)
from restante.protocol.server.session import EndReason
from restante.protocol.stuffing import TERMINATOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.protocol.server import needs

Inner = TypeVar("Inner")
Outer = TypeVar("Outer")
T = TypeVar("T")

SILENCE = 300.0  # seconds that a silent server keeps a connection
SLICE = 64 * 1024  # octets of a reply that are sent at once
TICK = 0.1  # seconds between two writes at a limited rate

GREETING = "GREETING"
RESPONSE = "RESPONSE"


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The command line that a reply answers.

    Attributes:
        verb: in upper case. "GREETING" is the beginning of a session, and "RESPONSE" a client's
            line in AUTH.
        argument: what follows the verb. Of AUTH it is the mechanism alone.
    """

    verb: str
    argument: str = ""

    @property
    def number(self) -> int | None:
        """The number of the message, None without one, as for more digits than the server reads."""
        word = self.argument.partition(" ")[0]
        is_number = word.isascii() and word.isdigit() and len(word) <= MAX_DIGITS
        return int(word) if is_number else None


class Ending(Enum):
    """The action of a server where a reply stops.

    CLOSE hangs up, and RESET does it by a TCP reset. CUT closes TLS without its close_notify.
    SILENT sends nothing more, and hangs up when `SILENCE` is over.
    """

    CLOSE = auto()
    RESET = auto()
    CUT = auto()
    SILENT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyParts:
    r"""A reply in parts, and the manner of its sending. The parts are octets as sent.

    Attributes:
        command: what it answers.
        session: the number of the session at this server, from 0.
        status: the status line, or a line of the server in AUTH.
        body: the lines of a multi-line reply, dot-stuffed. RFC 1939 section 3.
        end: what ends the body: ".\r\n", or "" without a body.
        wait: seconds before the first octet.
        rate: octets a second.
        chunk: octets of each write, 0 for all at once.
        stop: octets after which `ending` comes, None for the end of the reply.
        ending: what comes in place of the rest; None if the session goes on.
        begins_tls: whether TLS begins after a reply to STLS.
    """

    command: CommandLine
    session: int = 0
    status: bytes
    body: bytes = b""
    end: bytes = b""
    wait: float = 0.0
    rate: float = math.inf
    chunk: int = 0
    stop: int | None = None
    ending: Ending | None = None
    begins_tls: bool = True

    @property
    def octets(self) -> bytes:
        """The whole reply."""
        return self.status + self.body + self.end

    @property
    def ok(self) -> bool:
        """Whether it says +OK."""
        return self.status.startswith(b"+OK")

    @property
    def multiline(self) -> bool:
        """Whether it has a body."""
        return bool(self.end)


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, and what comes after it: a line of the client, TLS, or the end of the session."""

    reply: ReplyParts
    then: Need[Any] | None  # in POP3 ReadLine or StartServerTls


Step: TypeAlias = Answer | Need[Any]

Conversation: TypeAlias = Generator[Step, Any, EndReason]
"""A session in parts. It returns why the session ended."""

Alteration: TypeAlias = Callable[[Conversation], Conversation]
"""A fault's function."""

Change: TypeAlias = Callable[[ReplyParts], ReplyParts]


def leave_alone(conversation: Conversation) -> Conversation:
    """Return a conversation as it is."""
    return conversation


def add(*alterations: Alteration) -> Alteration:
    """Return the sum of alterations: the last one is next to the server."""

    def all_of_them(conversation: Conversation) -> Conversation:
        for alteration in reversed(alterations):
            conversation = alteration(conversation)
        return conversation

    return all_of_them


def alter(
    conversation: Conversation,
    *,
    reply: Change | None = None,
    line: Callable[[bytes], bytes] | None = None,
    need: Callable[[Need[Any]], Need[Any]] | None = None,
) -> Conversation:
    """Change the replies, the client's lines and the server's needs of a conversation."""

    def ask(step: Step) -> Generator[Step, Any, object]:
        if isinstance(step, Answer):
            step = Answer(reply(step.reply), step.then) if reply else step
        elif need:
            step = need(step)
        answer: object = yield step
        read = isinstance(step, Answer) and isinstance(step.then, ReadLine)
        return line(answer) if line and read and isinstance(answer, bytes) else answer

    return relay(conversation, ask)


def relay(
    conversation: Generator[Inner, Any, T],
    ask: Callable[[Inner], Generator[Outer, Any, object]],
    answer: object = None,
) -> Generator[Outer, Any, T]:
    """Carry a conversation on by `ask`, which gets each step and returns what comes for it.

    A Refusal or LineTooLong that `ask` raises comes for it, too. `answer` is for the present step,
    None at the beginning. Return what the conversation returns.
    """
    while True:
        try:
            step = next_step(conversation, answer)
        except StopIteration as ended:
            end: T = ended.value
            return end
        try:
            answer = yield from ask(step)
        except (Refusal, LineTooLong) as error:
            answer = error


def pass_on(step: T) -> Generator[T, Any, object]:
    """Yield a step, and return what comes for it, an error too."""
    try:
        return (yield step)
    except (Refusal, LineTooLong) as error:
        return error


def next_step(conversation: Generator[Any, Any, Any], answer: object) -> Any:
    """Give a conversation an answer or an error, and return its next step."""
    if isinstance(answer, Exception):
        return conversation.throw(answer)
    return conversation.send(answer)


@dataclass(slots=True)
class _Reader:
    """The state that `in_parts` keeps of a session."""

    session: int
    command: CommandLine = field(default_factory=lambda: CommandLine(GREETING))
    sent: bytes = b""  # a long message, which belongs before the reply that follows it

    def split(self, octets: bytes) -> ReplyParts:
        """Return a reply in parts."""
        octets, self.sent = self.sent + octets, b""
        end = octets.find(b"\n") + 1
        status, body = octets[:end], octets[end:]
        terminator = TERMINATOR if body else b""
        return ReplyParts(
            command=self.command,
            session=self.session,
            status=status,
            body=body[: len(body) - len(terminator)],
            end=terminator,
        )

    def ask(self, step: needs.Step) -> Generator[Step, Any, object]:
        """Yield a step of the server in parts, and return what comes for it."""
        answer: object = None
        if isinstance(step, tuple):
            answer = yield from pass_on(Answer(self.split(step[0]), step[1]))
            self.command = read_command(answer, step[0])
        elif isinstance(step, StartServerTls):
            answer = yield Answer(self.split(step.status), step)
            self.command = CommandLine("")  # an empty reply follows
        elif isinstance(step, SendMultiline):
            self.sent += step.status + (yield ReadWhole(step))
        elif isinstance(step, SendPart):
            self.sent += step.octets
        else:
            answer = yield step
        return answer


def read_command(line: object, after: bytes) -> CommandLine:
    """Return what the next reply answers: a line of the client, which came after a reply."""
    if not isinstance(line, bytes):  # too long, and not known
        return CommandLine("")
    if after.startswith(b"+ "):
        return CommandLine(RESPONSE)
    verb, _, argument = line.rstrip(b"\r\n").decode("latin-1").partition(" ")
    verb = verb.upper()
    if verb == "PASS":
        return CommandLine(verb)
    return CommandLine(verb, argument.partition(" ")[0] if verb in ("APOP", "AUTH") else argument)


def in_parts(conversation: needs.Conversation, session: int = 0) -> Conversation:
    """Return a session of the server with its replies in parts. `session` counts from 0."""
    reader = _Reader(session)
    octets, end = yield from relay(conversation, reader.ask)
    yield Answer(reader.split(octets), None)
    return end


def as_octets(conversation: Conversation) -> needs.Conversation:
    """Return a conversation for a driver that knows `Pause` and `HangUp`, too."""
    end = yield from relay(conversation, functools.partial(_carry_out, conversation))
    return b"", end


def _carry_out(conversation: Conversation, step: Step) -> Generator[needs.Step, Any, object]:
    """Ask a driver for one step, and return its answer."""
    if isinstance(step, Need):
        return (yield step)
    reply, then = step.reply, step.then
    if isinstance(then, StartServerTls):
        if reply.ok and reply.begins_tls and reply.ending is None:
            if reply.wait:
                yield Pause(reply.wait)
            return (yield StartServerTls(reply.octets))
        yield from send_reply(reply)
        # Nothing begins, so the session continues in clear text. Its own reply is not sent.
        step = conversation.throw(Refusal("no TLS"))
        assert isinstance(step, Answer)
        assert isinstance(step.then, ReadLine)
        return (yield b"", step.then)
    assert then is None or isinstance(then, ReadLine)
    if then is not None and is_plain(reply):
        return (yield reply.octets, then)
    yield from send_reply(reply)
    return None if then is None else (yield b"", then)


def is_plain(reply: ReplyParts) -> bool:
    """Return whether a reply leaves as any other does."""
    return not (reply.wait or reply.chunk or reply.ending) and reply.rate == math.inf


def send_reply(reply: ReplyParts) -> Generator[Need[Any], Any, None]:
    """Send a reply in its manner."""
    if reply.wait:
        yield Pause(reply.wait)
    for piece in _pieces(reply):
        yield SendPart(piece)
        if reply.chunk or reply.rate < math.inf:
            yield Pause(len(piece) / reply.rate)
    match reply.ending:
        case None:
            return
        case Ending.SILENT:
            yield Pause(SILENCE)
    yield HangUp(reset=reply.ending is Ending.RESET, notify=reply.ending is not Ending.CUT)


def _pieces(reply: ReplyParts) -> Iterator[bytes]:
    """Yield what is sent of a reply, write by write."""
    octets = reply.octets
    if reply.ending is not None and reply.stop is not None:
        octets = octets[: reply.stop]
    size = reply.chunk or SLICE
    if reply.rate < math.inf:
        size = min(size, max(1, int(reply.rate * TICK)))
    for start in range(0, len(octets), size):
        yield octets[start : start + size]


def stop_at(reply: ReplyParts, ending: Ending, stop: float | None = None) -> ReplyParts:
    """Return a reply that stops after a number of octets, or after a share of it below 1.

    Without `stop` it stops at its end, whatever other faults do to it.
    """
    if stop is not None and 0 < stop < 1:
        stop = len(reply.octets) * stop
    return replace(reply, ending=ending, stop=None if stop is None else int(stop))


def continue_from(conversation: Conversation, step: Step) -> Conversation:
    """Return a conversation that stands at a step which was not answered yet."""
    answer = yield from pass_on(step)
    return (yield from relay(conversation, pass_on, answer))
