"""Headers that are read in one go, and those that are read line by line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.mail.fields import MAX_FIELDS, split, split_header

PIECES = [
    b"From: a\r\n", b"Subject :b\n", b" cont\r\n", b"\tx\n", b" \n", b"\r\n", b"\n", b"X:\n", b":x\n",
    b"From bob\n", b"odd\n", b"no end", b"\r", b"X: a\rb\n", b"\0: a\n", b"a" * 201 + b": x\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_both_ways_agree(pieces: list[bytes]) -> None:
    """A header without odd lines has the same fields as line by line."""
    header = b"".join(pieces)
    assert split_header(header) == split(header)


@pytest.mark.parametrize("fields", [1, MAX_FIELDS - 1, MAX_FIELDS, MAX_FIELDS + 1])
@pytest.mark.parametrize("octets", [1, 100])
def test_large_headers_agree(fields: int, octets: int) -> None:
    """Headers of many fields, and of many octets, have the same fields, too."""
    header = (b"X: " + b"y" * octets + b"\n") * fields + b"\nbody\n"
    assert split_header(header) == split(header)
