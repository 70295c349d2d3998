"""The client and the server joined in memory: no socket, no event loop."""

from __future__ import annotations

from typing import TypeVar

from restante.protocol.client.effects import Dialogue, MessageChunk, Receive, Send
from support.world import Talk

T = TypeVar("T")


class Joined:
    """A client's end of a session in memory; `piece` limits how much comes at a time."""

    def __init__(self, talk: Talk, piece: int = 0) -> None:
        self.talk = talk
        self.piece = piece
        self.chunks: list[bytes] = []
        self.sent: list[bytes] = []
        self._coming = bytearray(talk.send())

    def run(self, dialogue: Dialogue[T]) -> T:
        """Carry out a dialogue; chunks are collected."""
        try:
            step = next(dialogue)
            while True:
                answer = b""
                if isinstance(step, Send):
                    self.sent.append(step.octets)
                    self._coming += self.talk.send(step.octets)
                elif isinstance(step, Receive):
                    answer = self._take()
                elif isinstance(step, MessageChunk):
                    self.chunks.append(step.octets)
                step = dialogue.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    def _take(self) -> bytes:
        size = self.piece or len(self._coming)
        taken = bytes(self._coming[:size])
        del self._coming[:size]
        return taken
