"""The wire form of messages: RFC 1939 sections 3, 7 and 11.

rfc1939-s3/multiline-end, rfc1939-s3/dot-stuffing, rfc1939-s7/top, rfc1939-s11/size,
implied/line-ends, known-bug/first-dot, known-bug/last-line-end, known-bug/top-lines,
known-bug/long-lines, known-bug/stored-crlf.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol import reference
from restante.protocol import stuffing

# Octets that matter come often: line ends, dots, and what is near them.
texts = (
    st.lists(
        st.sampled_from(
            [b"\r", b"\n", b"\r\n", b".", b"..", b"a", b"\0", b"\xff", b"\r\n\r\n", b"\n."]
        )
    ).map(b"".join)
    | st.binary()
)
cuts = st.lists(st.integers(0, 60))


def pieces(text: bytes, cuts: list[int]) -> list[bytes]:
    """Cut a text into pieces, some of them empty."""
    places = sorted([0, *(min(cut, len(text)) for cut in cuts), len(text)])
    return [text[a:b] for a, b in itertools.pairwise(places)]


def fed(wire: stuffing.DotStuffer, chunks: list[bytes]) -> bytes:
    return b"".join(wire.feed(chunk) for chunk in chunks) + wire.finish()


@given(texts)
@example(b"")
@example(b".")
@example(b".\n.\n..")
@example(b"no end")
@example(b"\r\r\n")
@example(b"a\r.b\n")
def test_encoding_matches_reference(stored: bytes) -> None:
    """A whole message has the same wire form as the reference."""
    sent, size = stuffing.encode_message(stored)
    assert sent == reference.retr(stored)
    assert size == reference.size(stored)


@given(texts)
def test_decoded_size_matches_list(stored: bytes) -> None:
    """A client that decodes a message gets as many octets as LIST says."""
    sent, size = stuffing.encode_message(stored)
    assert len(reference.unstuffed(sent)) == size


@given(texts, cuts)
@example(b".", [0])
@example(b"a\r\n.b", [2])
@example(b"a\r\n.b", [3])
@example(b"a\n.b\r", [1, 2, 3])
def test_every_split_gives_the_same_octets(stored: bytes, cuts: list[int]) -> None:
    """A message in any pieces has the same wire form and size."""
    wire = stuffing.DotStuffer()
    assert fed(wire, pieces(stored, cuts)) == stuffing.encode_message(stored)[0]
    assert wire.octets == reference.size(stored)


@given(texts, cuts)
@example(b"a\r\nb", [2])
def test_size_in_any_pieces(stored: bytes, cuts: list[int]) -> None:
    """The size on the wire is counted without encoding, in pieces of any length."""
    assert stuffing.size_on_wire(pieces(stored, cuts)) == reference.size(stored)
    assert stuffing.size_on_wire([b"", stored, b""]) == reference.size(stored)


@given(texts, st.integers(0, 8))
@example(b"\nbody", 0)
@example(b"\r\nbody", 1)
@example(b"a\n\n", 5)
def test_top_cuts_where_the_reference_does(stored: bytes, lines: int) -> None:
    """TOP has the octets of the reference implementation."""
    assert stuffing.encode_top(stored, lines) == reference.top(stored, lines)


@given(texts, cuts, st.integers(0, 8))
def test_every_split_gives_the_same_top(stored: bytes, cuts: list[int], lines: int) -> None:
    """TOP of a message in any pieces has the same octets."""
    assert fed(stuffing.TopStuffer(lines), pieces(stored, cuts)) == reference.top(stored, lines)


@given(texts, st.integers(0, 8))
def test_top_ends_early(stored: bytes, lines: int) -> None:
    """TOP is complete as soon as its last line is encoded."""
    wire = stuffing.TopStuffer(lines)
    sent = b""
    for octet in stored:
        if wire.complete:
            break
        sent += wire.feed(bytes([octet]))
    assert sent + wire.finish() == reference.top(stored, lines)


@given(texts, texts, st.integers(0, 8))
@example(b"a\n\n", b"b\n", 0)
@example(b"a\r\n\r", b"\nb\n", 0)
def test_contains_top(beginning: bytes, rest: bytes, lines: int) -> None:
    """A beginning suffices for TOP exactly if later octets do not change the reply."""
    same = stuffing.encode_top(beginning, lines)
    if stuffing.contains_top(beginning, lines):
        assert reference.top(beginning + rest, lines) == same
    else:
        assert reference.top(beginning + b"x", lines) != same


def test_top_needs_one_chunk() -> None:
    """TOP of a long message is complete after its first chunk."""
    wire = stuffing.TopStuffer(1)
    assert wire.feed(b"Subject: a\n\none\ntwo\n" + b"x" * 10_000) == b"Subject: a\r\n\r\none\r\n"
    assert wire.complete


@pytest.mark.parametrize("length", [1, 2048, 65536, 1_000_000])
def test_a_line_may_be_as_long_as_it_likes(length: int) -> None:
    """Lines of any length are sent whole."""
    stored = b"Subject: long\n\n" + b"." * length + b"\n"
    assert stuffing.encode_message(stored)[0] == reference.retr(stored)
