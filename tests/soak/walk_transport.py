"""A connection without a network, which asyncio's order of calls and a client of any kind share."""

from __future__ import annotations

import asyncio
from typing import Any

HIGH = 300  # octets that the client has not read, beyond which the transport pauses the protocol


class WalkTransport(asyncio.Transport):
    """A transport that calls its protocol as asyncio's does, and the client at its other end.

    Attributes:
        protocol: the protocol, set by the test.
        heard: the octets that the client has read.
        reads: whether the client reads.
        gone: whether the client has reset the connection. The next write notices that.
        lazy: whether a write waits for the next turn of the loop, as uvloop's does.
        closing: whether the connection is closed, or about to be.
        lost: whether `connection_lost` was called.
    """

    protocol: Any

    def __init__(self, loop: asyncio.AbstractEventLoop, **extra: object) -> None:
        super().__init__(extra)
        self._loop = loop
        self.heard = b""
        self.reads = True
        self.gone = False
        self.lazy = False
        self.closing = False
        self.lost = False
        self._unsent = b""
        self._inbox = b""  # octets of the client that were not read yet
        self._eof = False  # the client sends no more
        self._eof_told = False
        self._paused = False
        self._reading = True
        self._ending = False  # `connection_lost` is about to be called

    def say(self, octets: bytes) -> None:
        """Send octets, as the client."""
        if not self._eof:
            self._inbox += octets
            self._read()

    def end(self) -> None:
        """Send no more, as the client."""
        self._eof = True
        self._read()

    def reset(self) -> None:
        """Reset the connection, as the client, so that the server's loop notices it."""
        self.gone = True
        if self._unsent or (self._reading and not self.closing):
            self._lose(ConnectionResetError())

    def take(self) -> None:
        """Read all, as the client."""
        if self.gone:
            self._lose(BrokenPipeError())
            return
        waited = bool(self._unsent)
        self.heard += self._unsent
        self._unsent = b""
        if self._paused:
            self._paused = False
            self.protocol.resume_writing()
        if waited and self.closing and not self._ending:
            self._end(None)

    def write(self, data: Any) -> None:
        if self.closing:
            return
        if self.gone and not self.lazy:
            self._lose(BrokenPipeError())
        elif self.reads and not self._unsent and not self.lazy:
            self.heard += data
        else:
            self._unsent += data
            if len(self._unsent) > HIGH and not self._paused:
                self._paused = True
                self.protocol.pause_writing()
            if self.lazy:
                self._loop.call_soon(self._flush)

    def write_eof(self) -> None:
        """Do nothing: this client does not mind."""

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing: the limit is `HIGH`."""

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._loop.call_soon(self._read)

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            if not self._unsent:
                self._end(None)

    def abort(self) -> None:
        self._lose(None)

    def _flush(self) -> None:
        """Send what was written in the last turn of the loop."""
        if self._unsent and (self.reads or self.gone):
            self.take()

    def _read(self) -> None:
        """Give the protocol what the client has sent, unless it has paused reading."""
        if self._inbox and self._reading and not self.closing:
            octets, self._inbox = self._inbox, b""
            self.protocol.data_received(octets)
        if self._eof and not self._eof_told and self._reading and not self.closing:
            self._eof_told = True
            if not self.protocol.eof_received():
                self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self._ending:
            self.closing = True
            self._unsent = b""
            self._end(error)

    def _end(self, error: Exception | None) -> None:
        self._ending = True
        self._loop.call_soon(self._call_lost, error)

    def _call_lost(self, error: Exception | None) -> None:
        self.lost = True
        self.protocol.connection_lost(error)
