"""Line ends on the way from the wire into a file: CR LF becomes LF, chunk in, chunk out."""

from __future__ import annotations

from restante.protocol.line_ends import CRLF
from restante.protocol.line_forms import to_unix


class UnixLines:
    """Turns a message as the server sent it into a file's text. Feed all chunks, then finish.

    A server that reads the file sends the very octets again. So CR CR LF stays as it is: with one
    CR less it would be sent as CR LF.

    Attributes:
        stored: octets that were returned.
        on_wire: what LIST says of these octets, RFC 1939 section 11.
    """

    __slots__ = ("_held", "_last", "on_wire", "stored")

    def __init__(self) -> None:
        self.stored = 0
        self.on_wire = 0
        self._held = b""  # a last CR, until it is known whether an LF follows
        self._last = b""  # octet that was returned

    def feed(self, octets: bytes) -> bytes:
        """Return what to write for the next octets from the wire."""
        octets = self._held + octets
        self._held = b"\r" if octets.endswith(b"\r") else b""
        octets = octets.removesuffix(self._held)
        held = 2 if self._last == b"\r" and octets.startswith(CRLF) else 0
        lines, bare_line_ends = to_unix(octets[held:])
        return self._count(octets[:held] + lines, bare_line_ends)

    def finish(self) -> bytes:
        """Return what was held back. LIST counts an end for a last line without one."""
        rest = self._count(self._held, 0)
        if self.stored and self._last != b"\n":
            self.on_wire += len(CRLF)
        return rest

    def _count(self, octets: bytes, bare_line_ends: int) -> bytes:
        self.stored += len(octets)
        self.on_wire += len(octets) + bare_line_ends
        self._last = octets[-1:] or self._last
        return octets
