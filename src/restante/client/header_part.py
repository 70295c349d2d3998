"""The header of a message that is fetched whole, from a server without TOP."""

from __future__ import annotations

from restante.protocol.message_header import find_body

MAX_OCTETS = 1_000_000  # of a message that is fetched for its header


class HeaderPart:
    """The header of a message that arrives in chunks, up to a number of octets."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._ended = False

    def feed(self, piece: bytes) -> None:
        """Take the next octets."""
        if self._ended or len(self._kept) > self._limit:
            return
        searched = max(0, len(self._kept) - len(b"\n\r"))
        self._kept += piece
        if (body := find_body(self._kept, searched)) >= 0:
            self._ended = True
            del self._kept[body:]

    @property
    def octets(self) -> bytes:
        """The header as far as it came, with its empty line."""
        return bytes(self._kept[: self._limit])
