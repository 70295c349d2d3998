"""Line ends on the way into a file."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from restante.fetch.destinations.unix_lines import UnixLines


def converted(pieces: Iterable[bytes]) -> tuple[bytes, int, int]:
    lines = UnixLines()
    text = b"".join([*map(lines.feed, pieces), lines.finish()])
    return text, lines.stored, lines.on_wire


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"a\r\nb\rc\r\r\nd\r\n", (b"a\nb\rc\r\r\nd\n", 10, 12)),
        (b"no end", (b"no end", 6, 8)),
        (b"", (b"", 0, 0)),
    ],
)
def test_line_ends(sent: bytes, expected: tuple[bytes, int, int]) -> None:
    """CR LF becomes LF; CR CR LF stays, since a server would send it without one CR."""
    assert converted([sent]) == expected


@example([b"a", b"\r\n"])
@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"\r\r", b"\n\r\n"]), max_size=9))
def test_pieces(pieces: list[bytes]) -> None:
    """The text does not depend on how it is cut into pieces."""
    assert converted(pieces) == converted([b"".join(pieces)])
