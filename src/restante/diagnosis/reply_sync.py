"""Replies, counted: what came that was not asked for, and what is missing at the end of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.protocol.client.connection import Peek, Receive, Send, is_printable
from restante.protocol.errors import RemoteError

if TYPE_CHECKING:
    from restante.protocol.client.connection import Dialogue, ServerPeer, T

A_MOMENT = 0.005  # seconds in which what was not asked for is there, if it comes
LAST = 200  # octets that are kept of what came last


@dataclass(slots=True)
class ReplyTracker:
    """What came since something was last said to the server.

    Attributes:
        octets: how many.
        last: the last of them.
    """

    octets: int = 0
    last: bytes = b""

    def watched(
        self, peer: ServerPeer, dialogue: Dialogue[T], *, strict: bool = False
    ) -> Dialogue[T]:
        """Carry out a dialogue and remember what comes; `strict` is for `in_step`."""
        asked = peer.command
        self._begin(peer)
        try:
            step = next(dialogue)
            while True:
                if strict and isinstance(step, Send):
                    yield from expect_silence(peer)
                if peer.command != asked:
                    self._begin(peer)
                asked = peer.command
                try:
                    answer = yield step
                except RemoteError as error:
                    step = dialogue.throw(error)
                    continue
                if isinstance(step, Receive):
                    self.octets += len(answer)
                    self.last = (self.last + answer)[-LAST:]
                step = dialogue.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    def in_sync(self, peer: ServerPeer, dialogue: Dialogue[T]) -> Dialogue[T]:
        """The same, and nothing may have come unasked when something is said, nor at the end.

        Not for pipelined commands. Raises MalformedReplyError: desync, not-stuffed.
        """
        result = yield from self.watched(peer, dialogue, strict=True)
        yield from expect_silence(peer)
        return result

    def _begin(self, peer: ServerPeer) -> None:
        self.octets, self.last = len(peer.inbox), bytes(peer.inbox[-LAST:])

    def unended(self, peer: ServerPeer) -> bool:
        """Return whether all that came of a reply is a line without its end."""
        return 0 < self.octets == len(peer.inbox)

    def missing(self, peer: ServerPeer) -> str:
        """Say what came of a reply and what of it did not; "" where nothing came."""
        if not self.octets:
            return ""
        what = f"the answer to {peer.command}" if peer.command else "the greeting"
        line = peer.redacted(is_printable(self.last).rstrip("\r\n").rpartition("\n")[2])[-60:]
        if self.unended(peer):
            return f'{what} has no line end: "{line}" came, and nothing behind it'
        came = f"{self.octets} octets of {what} came"
        return f'{came}, the last line "{line}", and not its end, a line with a dot'


def expect_silence(peer: ServerPeer, seconds: float = A_MOMENT) -> Dialogue[None]:
    """Check that nothing came after the last reply.

    Raises MalformedReplyError: desync, not-stuffed.
    """
    peer.inbox += yield Peek(seconds)
    peer.check_inbox()
