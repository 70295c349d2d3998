"""Replies on their way to a peer that may read slowly, or never."""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from typing import TYPE_CHECKING

from restante.server.connection.keepalive import (
    DEAD_AFTER,
    LONGEST_SILENCE,
    has_vanished,
    set_user_timeout,
)

if TYPE_CHECKING:
    from restante.server.connection.transport import ClientTransport

BATCH = 64 * 1024  # octets of replies that are gathered into one write
SLOWEST = 80  # octets a second that a client must take of what waits for it


class WriteBuffer:
    """Gathers replies into few writes, and measures whether the peer reads them.

    asyncio sets TCP_NODELAY, so a reply in two writes costs two packets, and with some peers 40 ms.
    """

    __slots__ = (
        "_drained",
        "_measured",
        "_size",
        "_transport",
        "_wire",
        "gathered",
        "is_full",
        "octets",
        "patient",
        "unsent",
    )

    def __init__(self, transport: asyncio.Transport, wire: ClientTransport) -> None:
        self._transport = transport
        self._wire = wire
        self.gathered: list[bytes] = []  # replies for the next write
        self._size = 0  # octets of them
        self.unsent: int | None = None  # octets that the peer had not confirmed when last measured
        self._measured = 0.0, 0  # the time of that, and the octets that the peer had confirmed
        self._drained: asyncio.Future[None] | None = None
        self.patient = False  # the kernel gives the peer as much time as we do
        self.is_full = False  # the transport holds as much as it should
        self.octets = 0  # written so far

    def add(self, reply: bytes) -> None:
        """Gather a reply until the next flush, or until there are enough octets for a write."""
        self.gathered.append(reply)
        self._size += len(reply)
        if self._size >= BATCH:
            self.flush()

    def send(self, reply: bytes) -> None:
        """Write a reply to the transport, or gather it if others wait."""
        if self.gathered or self.is_full:
            self.add(reply)
        elif reply and not self._transport.is_closing():  # or the peer is gone
            self.octets += len(reply)
            self._wire.write(reply)

    def flush(self) -> None:
        """Write the gathered replies."""
        replies = self.gathered
        if replies:
            if not self._transport.is_closing():
                self.octets += self._size
                self._wire.write(b"".join(replies))
            replies.clear()
            self._size = 0

    async def drain(self) -> None:
        """Flush, and wait until the transport accepts more, or the peer is gone."""
        self.flush()
        if self.is_full:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def pause(self, seconds: float) -> float:
        """Note that the transport is full, and return the seconds until the next measurement.

        The peer may read nothing for `seconds`. The kernel gets the same limit, since its usual
        one is shorter.
        """
        self.is_full = True
        if not self.patient:
            self.patient = True
            set_user_timeout(self._wire.file, max(seconds, DEAD_AFTER))
        self.measure_unsent()
        return min(seconds, LONGEST_SILENCE)

    def expect(self) -> None:
        """Note that all replies were sent, and that the server waits for the peer."""
        if self.patient:
            self.patient = False
            set_user_timeout(self._wire.file, DEAD_AFTER)

    def patience(self, seconds: float) -> float:
        """Return the seconds for which to wait on for a peer, 0 to close the connection.

        It is closed if it reads too little in `seconds`, or has read all of it, or is gone.
        """
        if has_vanished(self._wire.file):
            return 0.0
        left = self._measured[0] + seconds - asyncio.get_running_loop().time()
        if self.unsent is not None and left > 0:
            return min(left, LONGEST_SILENCE)
        return min(seconds, LONGEST_SILENCE) if self.made_progress() and self.unsent else 0.0

    def resume(self) -> None:
        """Note that the transport accepts more again, or never will."""
        self.is_full = False
        # The task that awaits it may have been cancelled.
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    @property
    def closing(self) -> bool:
        """Whether nothing is sent any more."""
        return self._transport.is_closing()

    @property
    def is_unsent(self) -> bool:
        """Whether the transport still holds octets for the peer."""
        return self.is_full or self._transport.get_write_buffer_size() > 0

    def measure_unsent(self) -> int:
        """Note and return how many octets the peer has not confirmed yet."""
        in_kernel = _unconfirmed_octets(self._wire.file)
        self.unsent = self._transport.get_write_buffer_size() + in_kernel
        self._measured = asyncio.get_running_loop().time(), self.octets - self.unsent
        return self.unsent

    def made_progress(self) -> bool:
        """Return whether the peer has confirmed enough octets since the last measurement.

        Enough is 80 octets a second, or all that were unsent. At the first measurement, it is
        enough that some are unsent.
        """
        waited, (begun, acknowledged) = self.unsent, self._measured
        unsent = self.measure_unsent()
        if waited is None:
            return bool(unsent)
        now, acknowledged_now = self._measured
        return acknowledged_now - acknowledged >= min(SLOWEST * (now - begun), waited) > 0


def _unconfirmed_octets(socket: int) -> int:
    """Return how many octets the kernel holds for a peer.

    The kernel holds megabytes, and accepts more only after a third of them was sent. With a slow
    peer, the transport does not change for minutes.
    """
    if sys.platform != "linux" or socket < 0:
        return 0
    return int.from_bytes(fcntl.ioctl(socket, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
