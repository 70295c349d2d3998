"""A message as it comes after DATA, in any pieces: RFC 5321 section 4.5.2."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.delivery.protocol.message import MemoryBudget, MessageReceiver
from restante.delivery.replies import DeliveryReply
from restante.protocol.stuffing import encode_message

LIMIT = 1_000_000
TEXT = st.lists(st.sampled_from([b"a", b".", b"\r", b"\n", b"\r\n", b"\0", b"\xff", b"xyz"])).map(
    b"".join
)


def sent(text: bytes) -> bytes:
    """Return what a client sends of a text whose lines end with CR LF: dots doubled."""
    stuffed = b"\r\n".join(
        b"." + line if line[:1] == b"." else line for line in text.split(b"\r\n")
    )
    return stuffed + b".\r\n"


def received(
    octets: bytes, *cuts: int, budget: MemoryBudget | None = None
) -> bytes | DeliveryReply:
    """Feed octets, cut at these places, and return what was received; the rest must be left."""
    budget = budget or MemoryBudget(LIMIT)
    begun_with = budget.left
    receiver = MessageReceiver(budget, LIMIT)
    places = [0, *sorted(cut % len(octets) for cut in cuts), len(octets)]
    for begin, end in itertools.pairwise(places):
        assert not receiver.ended
        receiver.feed(octets[begin:end] if end < len(octets) else octets[begin:] + b"QUIT\r\n")
    assert receiver.ended
    assert receiver.rest == b"QUIT\r\n"
    result = receiver.result
    taken = 0 if isinstance(result, DeliveryReply) else len(result)
    assert budget.left == begun_with - taken
    receiver.release()
    receiver.release()
    assert budget.left == begun_with
    return result


@given(TEXT, st.lists(st.integers(0, 1000), max_size=9))
def test_what_was_sent_is_what_pop3_gives_back(text: bytes, cuts: list[int]) -> None:
    """POP3 returns each octet, but for a lone LF, which it sends as a line end."""
    text = text + b"\r\n" if text and not text.endswith(b"\r\n") else text
    got = received(sent(text), *cuts)
    assert isinstance(got, bytes)
    assert got == received(sent(text))
    wire, octets = encode_message(got)
    back = wire.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
    back = back[1:] if back.startswith(b"..") else back
    lone = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if b"\r\r\n" not in text else None
    if b"\n" in text.replace(b"\r\n", b""):
        assert lone is None or back == lone
    else:
        assert back == text
        assert octets == len(text)


@pytest.mark.parametrize(
    ("octets", "stored"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\n"),
        (b"a\r\n.\r\n", b"a\n"),
        (b"..\r\n.\r\n", b".\n"),
        (b"...\r\n.\r\n", b"..\n"),
        (b"a\n.\n.\r\n..b\r\n.\r\n", b"a\n.\n.\n.b\n"),
        (b"a\r.\r\r\n.\r\n", b"a\r.\r\r\n"),
        (b"a\r\r\r\nb\r\n.\r\n", b"a\r\r\r\nb\n"),
        (b"a\0b\r\n.\r\n", b"a\0b\n"),
        (b"x" * 200_000 + b"\r\n.\r\n", b"x" * 200_000 + b"\n"),
        (b"a\n.\nMAIL FROM:<x>\n.\r\nb\r\n.\r\n", b"a\n.\nMAIL FROM:<x>\n.\nb\n"),
    ],
    ids=lambda octets: repr(octets[:20]),
)
def test_line_ends(octets: bytes, stored: bytes) -> None:
    """LF ends a line, as Unix programs store it; all else stays, whole and octet by octet."""
    assert received(octets) == stored
    if len(octets) < 1000:
        assert received(octets, *range(len(octets))) == stored


@pytest.mark.parametrize("octets", [b"x" * (LIMIT + 1) + b"\r\n.\r\n", b"x\r\n" * LIMIT + b".\r\n"])
def test_too_big(octets: bytes) -> None:
    """A message that is too big is read to its end, and not kept in memory."""
    found = received(octets, *range(0, len(octets), 100_000), budget=MemoryBudget(2 * LIMIT))
    assert isinstance(found, DeliveryReply)
    assert found.code == 552


def test_size_without_dots() -> None:
    """RFC 1870 section 3: the size counts CR LF, and no doubled dot."""
    line = b"." + b"x" * 97 + b"\r\n"
    assert isinstance(received((b"." + line) * (LIMIT // 100) + b".\r\n"), bytes)
    assert isinstance(received((b"." + line) * (LIMIT // 100) + b"\r\n.\r\n"), DeliveryReply)


def test_no_memory() -> None:
    """A message for which there is no memory now is for later."""
    found = received(b"0123456\r\n789\r\n.\r\n", 5, 9, budget=MemoryBudget(10))
    assert isinstance(found, DeliveryReply)
    assert found.code == 452
