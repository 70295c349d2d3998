"""Lines out of octets: rfc2449-s4/command-length, policy/bad-commands, known-bug/long-lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.protocol.errors import LineTooLong
from restante.protocol.lines import MAX_DISCARD, LineBuffer

LIMIT = 10


def taken(
    buffer: LineBuffer, octets: bytes = b"", unended: bytes = b"UTF8"
) -> list[bytes | tuple[str, bytes, bool]]:
    """Return all lines that are there, and the overlong ones as what they tell."""
    found: list[bytes | tuple[str, bytes, bool]] = []
    while True:
        line = buffer.take(LIMIT, octets, unended)
        octets = b""
        match line:
            case None:
                return found
            case LineTooLong() as error:
                found.append(("too long", error.start, error.ended))
            case bytes():
                found.append(line)


@given(st.lists(st.sampled_from([b"\n", b"\r\n", b"abc", b"0123456789", b"\r"])))
def test_lines_do_not_depend_on_how_octets_come(parts: list[bytes]) -> None:
    """The lines are the same, in whatever pieces the octets come."""
    at_once, by_part, by_octet = LineBuffer(), LineBuffer(), LineBuffer()
    at_once.feed(b"".join(parts))
    expected = taken(at_once)
    found_by_part, found_by_octet = [], []
    for part in parts:
        found_by_part += taken(by_part, part)
    for octet in b"".join(parts):
        by_octet.feed(bytes([octet]))
        found_by_octet += taken(by_octet)
    assert found_by_part == found_by_octet == expected


UNENDED = [
    ([b"UTF8", b"AUTH\r\n"], [b"UTF8\r\n", b"AUTH\r\n"]),
    ([b"CAPA\r\nUTF8", b"\r\nQUIT\r\n"], [b"CAPA\r\n", b"UTF8\r\n", b"QUIT\r\n"]),
    ([b"UTF8", b"\n", b"QUIT\r\n"], [b"UTF8\r\n", b"QUIT\r\n"]),
    ([b"UTF8", b"\r\n", b"\r\n"], [b"UTF8\r\n", b"\r\n"]),
    ([b"UTF8", b"\r", b"\n", b"QUIT\r\n"], [b"UTF8\r\n", b"QUIT\r\n"]),
    ([b"UTF8", b"", b"\r\nQUIT\r\n"], [b"UTF8\r\n", b"QUIT\r\n"]),
    ([b"UTF", b"8", b"UTF8", b"\r\n"], [b"UTF8\r\n", b"UTF8\r\n"]),
    ([b"UTF8\r", b"\n"], [b"UTF8\r\n"]),
    ([b"UTF8 ", b"8\r\n"], [b"UTF8 8\r\n"]),
    ([b"UTF8\r\n", b"UTF8\r\n"], [b"UTF8\r\n", b"UTF8\r\n"]),
]


@pytest.mark.parametrize(("pieces", "lines"), UNENDED)
def test_a_command_without_line_end(pieces: list[bytes], lines: list[bytes]) -> None:
    """policy/unended-utf8: it is a line when it arrives, and its line end may come later."""
    buffer, fed = LineBuffer(), LineBuffer()
    assert [line for piece in pieces for line in taken(buffer, piece)] == lines
    assert taken(buffer) == []
    assert not len(buffer)
    found = []
    for piece in pieces:
        fed.feed(piece)
        found += taken(fed)
    assert found == lines
    assert taken(LineBuffer(), b"UTF8", unended=b"") == []


def test_a_part_of_an_overlong_line_is_no_command() -> None:
    """policy/unended-utf8: octets of an overlong line stay a part of it."""
    buffer = LineBuffer()
    assert taken(buffer, b"x" * 300) == []
    assert taken(buffer, b"UTF8") == []
    assert taken(buffer, b"x\r\n") == [("too long", b"x" * LIMIT, True)]


def test_a_line_of_exactly_the_limit_is_a_line() -> None:
    """A line of the limit is accepted, and a longer one is too long."""
    buffer = LineBuffer()
    buffer.feed(b"12345678\r\n123456789\r\n")
    assert taken(buffer) == [b"12345678\r\n", ("too long", b"123456789\r", True)]


def test_what_follows_an_overlong_line_is_a_line_again() -> None:
    """After a line that is too long the next line is read."""
    buffer = LineBuffer()
    buffer.feed(b"x" * 1000)
    assert taken(buffer) == []
    buffer.feed(b"QUIT\r\nSTAT\r\n")
    assert taken(buffer) == [("too long", b"x" * LIMIT, True), b"STAT\r\n"]


def test_an_overlong_line_is_not_kept() -> None:
    """A line that is too long is not kept in memory."""
    buffer = LineBuffer()
    for _ in range(10):
        buffer.feed(b"x" * 1000)
        assert buffer.take(LIMIT) is None
        assert len(buffer) == 0


@pytest.mark.parametrize("octets", [MAX_DISCARD, MAX_DISCARD + 1])
@pytest.mark.parametrize("piece", [1000, MAX_DISCARD, 2 * MAX_DISCARD])
def test_endless_line_in_any_pieces(octets: int, piece: int) -> None:
    """A line's length decides if it is too long, not the pieces in which it arrives."""
    buffer = LineBuffer()
    line = b"x" * (octets - 1) + b"\n"
    taken = None
    for place in range(0, octets, piece):
        assert taken is None
        buffer.feed(line[place : place + piece])
        taken = buffer.take(LIMIT)
    assert isinstance(taken, LineTooLong)
    assert taken.ended == (octets <= MAX_DISCARD)


def test_a_line_without_end_is_told_of_before_it_ends() -> None:
    """A line without an end is reported after a bounded number of octets."""
    buffer = LineBuffer()
    buffer.feed(b"x" * MAX_DISCARD)
    assert buffer.take(LIMIT) is None
    buffer.feed(b"x")
    too_long = buffer.take(LIMIT)
    assert isinstance(too_long, LineTooLong)
    assert not too_long.ended
