"""Replies on their way to a peer that may read slowly, or never."""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 64 * 1024  # octets of replies that are gathered into one write
SLOWEST = 80  # octets a second that a client must take of what waits for it


class Output:
    """Gathers replies into few writes, and knows whether the peer keeps up.

    TCP is told not to delay (asyncio does so), so a reply in two writes would cost two packets, and
    with some peers 40 ms.
    """

    __slots__ = (
        "_drained",
        "_looked",
        "_replies",
        "_size",
        "_transport",
        "_write",
        "full",
        "octets",
        "unsent",
    )

    def __init__(self, transport: asyncio.Transport, write: Callable[[bytes], None]) -> None:
        self._transport = transport
        self._write = write
        self._replies: list[bytes] = []
        self._size = 0  # octets of them
        self.unsent: int | None = None  # octets that the peer had not taken when last looked at
        self._looked = 0.0, 0  # when that was, and how many it had taken
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
        """Hand everything over to the transport, or forget it where the peer is gone."""
        if self._replies:
            if not self._transport.is_closing():
                self.octets += self._size
                self._write(b"".join(self._replies))
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
        self.look()

    def resume(self) -> None:
        """Note that the transport takes more again, or never will."""
        self.full = False
        if self._drained is not None and not self._drained.done():  # who waited may have been ended
            self._drained.set_result(None)
        self._drained = None

    @property
    def closing(self) -> bool:
        """Whether nothing is sent any more."""
        return self._transport.is_closing()

    def look(self) -> int:
        """Note and return how many octets the peer has not taken yet."""
        socket = self._transport.get_extra_info("socket")
        in_kernel = _unconfirmed(socket.fileno()) if socket else 0
        self.unsent = self._transport.get_write_buffer_size() + in_kernel
        self._looked = asyncio.get_running_loop().time(), self.octets - self.unsent
        return self.unsent

    def moved(self) -> bool:
        """Tell whether the peer has taken enough since the last look; so it may at the first.

        Enough is 80 octets a second, or all that waited for it.
        """
        waited, (begun, taken) = self.unsent, self._looked
        unsent = self.look()
        if waited is None:
            return bool(unsent)
        now, taken_now = self._looked
        return taken_now - taken >= min(SLOWEST * (now - begun), waited) > 0


def _unconfirmed(socket: int) -> int:
    """Return how many octets the kernel holds for a peer.

    It holds megabytes, and asks for more only when a third of them is gone: for a slow peer that
    may be minutes in which the transport does not move.
    """
    if sys.platform != "linux":
        return 0
    return int.from_bytes(fcntl.ioctl(socket, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
