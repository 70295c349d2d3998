"""Operations, and how they are carried out: one after the other, or ahead of their replies."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from restante.protocol.client.effects import Send
from restante.protocol.errors import Phase, RemoteError, ReplyTimeoutError, ServerRefusedError
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from restante.protocol.client.connection import ServerPeer
    from restante.protocol.client.effects import Dialogue

T = TypeVar("T")


class Operation(NamedTuple, Generic[T]):
    """One command: the octets to send, and the reader of its reply.

    Attributes:
        request: the command with its line end.
        read: returns what the reply says.
        shown: the command without its secrets, None if it has none.
        phase: the part of the session that an error names; None for the present one.
    """

    request: bytes
    read: Callable[[ServerPeer], Dialogue[T]]
    shown: bytes | None = None
    phase: Phase | None = Phase.MAILBOX

    def __repr__(self) -> str:
        return f"Operation({self.shown or self.request!r})"


def carry_out(peer: ServerPeer, operation: Operation[T]) -> Dialogue[T]:
    """Send one command and return what its reply says. Raises what its reader raises."""
    peer.phase = operation.phase or peer.phase
    yield from peer.send(operation.request, operation.shown)
    return (yield from operation.read(peer))


def pipeline(
    peer: ServerPeer,
    operations: Iterable[Operation[T]],
    window: int,
    on_reply: Callable[[T | ServerRefusedError], Any] = lambda _: None,
) -> Dialogue[list[T | ServerRefusedError]]:
    """Send commands ahead of their replies, and return what each reply says, or its -ERR.

    At most `window` octets of commands are unanswered at a time. So the two ends never wait for
    each other: RFC 2449 section 6.6.
    """
    results: list[T | ServerRefusedError] = []
    waiting: deque[Operation[T]] = deque()
    unanswered = 0
    remaining = iter(operations)
    upcoming = next(remaining, None)
    while upcoming is not None or waiting:
        batch, shown_batch = bytearray(), bytearray()
        if not waiting and upcoming is not None:
            peer.phase = upcoming.phase or peer.phase
            peer.check_unread()
        while upcoming is not None and (
            not waiting or unanswered + len(upcoming.request) <= window
        ):
            batch += upcoming.request
            shown_batch += upcoming.shown or upcoming.request
            unanswered += len(upcoming.request)
            waiting.append(upcoming)
            upcoming = next(remaining, None)
        if batch:
            peer.add_trace(">", decode_text(bytes(shown_batch)).rstrip().replace("\r\n", ", "))
            yield from Send(bytes(batch))
        while waiting and (upcoming is None or unanswered + len(upcoming.request) > window // 2):
            operation = waiting.popleft()
            unanswered -= len(operation.request)
            peer.outstanding = len(waiting)
            peer.phase = operation.phase or peer.phase
            shown_line = operation.shown or operation.request  # a property is a call more each time
            peer.command = decode_text(shown_line.rstrip(b"\r\n"))
            results.append((yield from _read_reply(peer, operation, results[-1:], window)))
            on_reply(results[-1])
    return results


def _read_reply(
    peer: ServerPeer, operation: Operation[T], last: list[T | ServerRefusedError], window: int
) -> Dialogue[T | ServerRefusedError]:
    try:
        return (yield from operation.read(peer))
    except ServerRefusedError as refused:
        return refused
    except RemoteError as error:  # the server may have given the reason in the reply before
        if last and window and isinstance(error, ReplyTimeoutError) and error.id == "stalled":
            error.text += "; the command was sent ahead, since the server announces PIPELINING"
        error.others += [reply.quoted for reply in last if isinstance(reply, ServerRefusedError)]
        raise
