"""Line ends and dot-stuffing: in C, or in Python if the extension was not compiled."""

from __future__ import annotations

try:
    from restante.protocol.speedups import bare_line_ends, from_wire, to_unix, to_wire
except ImportError:
    from restante.protocol.line_ends import bare_line_ends, from_wire, to_unix, to_wire

__all__ = ["bare_line_ends", "from_wire", "to_unix", "to_wire"]
