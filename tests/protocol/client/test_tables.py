"""Lists of messages are kept in little memory, and mean the same as dicts."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.client.maildrop import list_messages
from restante.client.options import Target
from restante.client.session import ClientSession
from restante.protocol.client.connection import ServerPeer
from restante.protocol.client.effects import Dialogue, Receive, Send
from restante.protocol.client.operations import list_, uidl
from restante.protocol.client.pipeline import Operation
from restante.protocol.client.tables import SizeTable, UidTable
from restante.protocol.errors import MalformedReplyError

T = TypeVar("T")

MANY = 40_000
OCTETS_EACH = 110  # for a message: number, size and a unique-id of 20 characters


def replies(numbers: list[int]) -> Iterator[bytes]:
    """Yield the chunks of the replies to LIST and UIDL."""
    for lines in (
        (b"%d 1234\r\n" % number for number in numbers),
        (b"%d %020d\r\n" % (number, number) for number in numbers),
    ):
        yield b"+OK\r\n"
        while chunk := b"".join(line for _, line in zip(range(1000), lines, strict=False)):
            yield chunk
        yield b".\r\n"


def run(dialogue: Dialogue[T], chunks: Iterator[bytes]) -> T:
    """Carry out a dialogue with a server that sends these chunks."""
    answer = None
    try:
        while True:
            effect = dialogue.send(answer)
            answer = next(chunks) if isinstance(effect, Receive) else None
            assert isinstance(effect, Receive | Send)
    except StopIteration as done:
        result: T = done.value
        return result


@pytest.mark.parametrize(
    "numbers", [list(range(1, MANY + 1)), list(range(MANY, 0, -1))], ids=["in order", "backwards"]
)
def test_memory_of_a_list(numbers: list[int]) -> None:
    """A million messages take about a hundred MiB at most, in whatever order they come."""
    session = ClientSession(Target("localhost", 110, "none", "ann"))
    tracemalloc.start()
    try:
        state = run(list_messages(session), replies(numbers))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(state.entries) == MANY
    assert state.entries[7].uid == f"{7:020}"
    assert peak < MANY * OCTETS_EACH


@given(st.lists(st.tuples(st.integers(0, 6), st.text(max_size=3))))
def test_tables_are_mappings(pairs: list[tuple[int, str]]) -> None:
    """A table has the numbers and values of a dict, sorted by number."""
    sizes, uids = SizeTable(), UidTable()
    for number, text in pairs:
        sizes.add(number, len(text))
        uids.add(number, text)
    expected = dict(sorted(dict(pairs).items()))
    assert list(uids.items()) == list(expected.items())
    assert list(uids.values()) == list(expected.values())
    assert dict(sizes) == {number: len(text) for number, text in expected.items()}
    assert len(uids) == len(expected)
    for number in range(-1, 8):
        assert uids.get(number) == expected.get(number)


LINES = [
    *("1 120", "2 0", "3 18446744073709551615", "3 9", "00 007", "12345678901234567890 1"),
    *("4 x", "5", "6  7", " 7 8", "8 9 octets", "9 1\t", ".10 1", "", "x 1", "11 ü", "12 {}"),
    "13 " + "u" * 71,
]


@given(st.lists(st.sampled_from(LINES), max_size=8), st.sampled_from(["\r\n", "\n"]))
def test_many_lines_at_once_mean_the_same(lines: list[str], end: str) -> None:
    """A list that comes in one piece is read like one that comes octet by octet."""
    reply = "".join(line + end for line in ["+OK", *lines, "."]).encode()
    for operation in (list_(), uidl()):
        found = [_read(operation, pieces) for pieces in ([reply], _octets(reply))]
        assert found[0] == found[1]


def test_only_ascii_blanks_around_a_uid() -> None:
    """Blanks around a unique-id are not part of it, but other characters are, seen or not."""
    reply = "+OK\r\n1  a b \t\r\n2 a\u00a0\r\n.\r\n".encode()
    found, _ = _read(uidl(), [reply])
    assert found == {1: "a b", 2: "a\u00a0"}


def _read(
    operation: Operation[Mapping[int, int]] | Operation[Mapping[int, str]], pieces: list[bytes]
) -> tuple[object, dict[str, str]]:
    """Return what a reply says, or the error's text, and the oddities."""
    peer = ServerPeer()
    try:
        table = run(operation.read(peer), iter(pieces))
    except MalformedReplyError as error:
        return str(error), peer.oddities
    return dict(table), peer.oddities


def _octets(reply: bytes) -> list[bytes]:
    return [reply[place : place + 1] for place in range(len(reply))]
