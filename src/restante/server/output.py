"""Replies on their way to a peer that may read slowly, or never."""

from __future__ import annotations

import asyncio

BATCH = 64 * 1024  # octets of replies that are gathered into one write


class Output:
    """Gathers replies into few writes, and knows whether the peer keeps up.

    TCP is told not to delay (asyncio does so), so a reply in two writes would cost two packets, and
    with some peers 40 ms.
    """

    __slots__ = ("_drained", "_replies", "_size", "_transport", "_unsent", "full", "octets")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._replies: list[bytes] = []
        self._size = 0  # octets of them
        self._unsent = 0  # octets in the transport when last looked at
        self._drained: asyncio.Future[None] | None = None
        self.full = False  # the transport holds as much as it should
        self.octets = 0  # written so far

    def add(self, reply: bytes) -> None:
        """Take a reply; it leaves at the next flush, or sooner."""
        self._replies.append(reply)
        self._size += len(reply)
        if self._size >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Hand everything over to the transport."""
        if self._replies:
            self.octets += self._size
            self._transport.write(b"".join(self._replies))
            self._replies.clear()
            self._size = 0

    async def drain(self) -> None:
        """Flush, and wait until the transport takes more, or the peer is gone."""
        self.flush()
        if self.full:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def pause(self) -> None:
        """Note that the transport is full."""
        self.full = True
        self._unsent = self._transport.get_write_buffer_size()

    def resume(self) -> None:
        """Note that the transport takes more again, or never will."""
        self.full = False
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    def moved(self) -> bool:
        """Tell whether the peer has taken anything since the last look."""
        before, self._unsent = self._unsent, self._transport.get_write_buffer_size()
        return self._unsent < before
