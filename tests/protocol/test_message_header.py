"""Where the header of a message ends."""

from __future__ import annotations

import pytest

from restante.protocol.message_header import find_body


@pytest.mark.parametrize(
    ("octets", "place"),
    [
        (b"A: b\r\n\r\nbody", 8),
        (b"A: b\n\nbody", 6),
        (b"A: b\n\r\nbody", 7),
        (b"\nbody", 1),
        (b"\r\nbody", 2),
        (b"A: b\r\n", -1),
        (b"A: b\r\n\r", -1),
        (b"\rA: b", -1),
        (b"", -1),
    ],
)
def test_find_body(octets: bytes, place: int) -> None:
    """The body begins after the first empty line, whichever line ends there are."""
    assert find_body(octets) == place
