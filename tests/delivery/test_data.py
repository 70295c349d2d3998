"""A message as it comes after DATA, in any pieces: RFC 5321 section 4.5.2."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.delivery.data import MemoryBudget, read_message
from restante.delivery.replies import DeliveryReply
from restante.protocol.stuffing import encode_message

MOST = 1_000_000
TEXT = st.lists(st.sampled_from([b"a", b".", b"\r", b"\n", b"\r\n", b"\0", b"\xff", b"xyz"])).map(
    b"".join
)


def sent(text: bytes) -> bytes:
    """Return what a client sends of a text whose lines end with CR LF: dots doubled."""
    stuffed = b"\r\n".join(
        b"." + line if line[:1] == b"." else line for line in text.split(b"\r\n")
    )
    return stuffed + b".\r\n"


def read(
    octets: bytes, *cuts: int, limit: int = 2**16, room: MemoryBudget | None = None
) -> bytes | DeliveryReply:
    """Feed octets, cut at these places, and return what was read; what follows must be left."""

    async def run() -> bytes | DeliveryReply:
        reader = asyncio.StreamReader(limit=limit)
        reading = asyncio.create_task(read_message(reader, room or MemoryBudget(MOST), MOST))
        places = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
        for begin, end in itertools.pairwise(places):
            reader.feed_data(octets[begin:end])
            await asyncio.sleep(0)
        reader.feed_data(b"QUIT\r\n")
        found = await reading
        assert await reader.readexactly(6) == b"QUIT\r\n"
        return found

    return asyncio.run(run())


@settings(deadline=None)
@given(TEXT, st.lists(st.integers(0, 1000), max_size=5), st.sampled_from([4, 5, 7, 16, 2**16]))
def test_what_was_sent_is_what_pop3_gives_back(text: bytes, cuts: list[int], limit: int) -> None:
    """But for a lone LF, which POP3 cannot tell from a line end (implied/line-ends)."""
    text = text + b"\r\n" if text and not text.endswith(b"\r\n") else text
    got = read(sent(text), *cuts, limit=limit)
    assert isinstance(got, bytes)
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
    ],
    ids=lambda octets: repr(octets[:20]),
)
def test_lines_end_as_unix_programs_want_it_and_the_rest_stays(
    octets: bytes, stored: bytes
) -> None:
    assert read(octets) == stored


def test_a_dot_behind_a_lone_line_feed_does_not_end_a_message() -> None:
    """Else a message could smuggle another in behind it."""
    assert read(b"a\n.\nMAIL FROM:<x>\n.\r\nb\r\n.\r\n") == b"a\n.\nMAIL FROM:<x>\n.\nb\n"


@pytest.mark.parametrize("octets", [b"", b"a\r\n", b"a\r\n.", b"a\r\n.\r", b".", b"x" * 100_000])
def test_a_message_that_is_cut_off_is_none_and_takes_no_room(octets: bytes) -> None:
    room = MemoryBudget(MOST)

    async def run() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(octets)
        reader.feed_eof()
        await read_message(reader, room, MOST)

    with pytest.raises(asyncio.IncompleteReadError):
        asyncio.run(run())
    assert room.left == MOST


def test_what_is_read_takes_its_own_size_of_the_room() -> None:
    room = MemoryBudget(100)
    assert read(b"..a\r\nb\r\n.\r\n", room=room) == b".a\nb\n"
    assert room.left == 95


@pytest.mark.parametrize("octets", [b"x" * (MOST + 1) + b"\r\n.\r\n", b"x\r\n" * MOST + b".\r\n"])
def test_what_is_refused_is_read_to_its_end_and_takes_no_room(octets: bytes) -> None:
    room = MemoryBudget(2 * MOST)
    found = read(octets, room=room)
    assert isinstance(found, DeliveryReply)
    assert found.code == 552
    assert room.left == 2 * MOST


def test_without_room_a_message_is_for_later() -> None:
    room = MemoryBudget(10)
    found = read(b"0123456\r\n789\r\n.\r\n", room=room)
    assert isinstance(found, DeliveryReply)
    assert found.code == 452
    assert room.left == 10
