"""The count of octets in replies, which shows stray octets and a missing end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from restante.protocol.client.effects import STRAY_OCTETS, Peek, Receive, Send
from restante.protocol.errors import RemoteError
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from restante.client.session import ClientSession
    from restante.protocol.client.connection import ServerPeer
    from restante.protocol.client.effects import Dialogue

T = TypeVar("T")

LAST = 16_384  # octets that are kept of the last ones: a token within them is hidden whole


@dataclass(slots=True, eq=False)
class ReplyTracker:
    """The octets that came since the last command.

    Attributes:
        octets: their number.
        last: the last of them, at most LAST octets.
    """

    octets: int = 0
    last: bytes = b""

    def track(
        self, session: ClientSession, dialogue: Dialogue[T], *, strict: bool = False
    ) -> Dialogue[T]:
        """Carry out a dialogue and remember what comes; `strict` is for `in_sync`."""
        peer = session.peer
        command = peer.command
        self._begin(peer)
        try:
            effect = next(dialogue)
            while True:
                if strict and isinstance(effect, Send):
                    yield from expect_silence(session)
                if isinstance(effect, Send) or peer.command != command:
                    self._begin(peer)  # a response of AUTH has the command of its AUTH
                command = peer.command
                try:
                    answer = yield effect
                except RemoteError as error:
                    effect = dialogue.throw(error)
                    continue
                if isinstance(effect, Receive):
                    self.octets += len(answer)
                    self.last = (self.last + answer)[-LAST:]
                effect = dialogue.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    def in_sync(self, session: ClientSession, dialogue: Dialogue[T]) -> Dialogue[T]:
        """Carry out a dialogue, and check before each command and at the end that nothing came.

        Not for pipelined commands. Raises MalformedReplyError: desync, not-stuffed.
        """
        result = yield from self.track(session, dialogue, strict=True)
        yield from expect_silence(session)
        return result

    def _begin(self, peer: ServerPeer) -> None:
        self.octets, self.last = len(peer.unread), bytes(peer.unread[-LAST:])

    def is_unended(self, session: ClientSession) -> bool:
        """Return whether the octets of the reply are one line without its end."""
        return 0 < self.octets == len(session.peer.unread)

    def missing(self, session: ClientSession) -> str:
        """Return the received and the missing part of a reply in words, "" if nothing came."""
        if not self.octets:
            return ""
        peer = session.peer
        reply = f"the reply to {peer.command}" if peer.command else "the greeting"
        line = peer.redact(decode_text(self.last).rstrip("\r\n").rpartition("\n")[2])[-60:]
        if self.is_unended(session):
            return f'{reply} has no line end; it ends with "{line}"'
        part = f"{self.octets} octets of {reply} were received"
        return f'{part}, with the last line "{line}", but not its end, a line with a dot'


def expect_silence(session: ClientSession, seconds: float = STRAY_OCTETS) -> Dialogue[None]:
    """Check that nothing comes after the last reply within `seconds`.

    Raises MalformedReplyError: desync, not-stuffed.
    """
    session.peer.unread += yield from Peek(seconds)
    session.peer.check_unread()
