"""Many messages retrieved with commands sent ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import pytest

import restante
from restante import blocking, testing
from restante.misbehave.changes import instead
from restante.misbehave.conversation import Alteration
from restante.protocol.client.operations import MessageEnd
from restante.protocol.errors import (
    LocalError,
    MalformedReplyError,
    RemoteError,
    ServerRefusedError,
)
from support.faulty_server import PASSWORD, faulty_server

LETTERS = [
    b"Subject: a\n\nhello\n",
    b"Subject: b\n\n.\n..\n",
    b"\n",
    b"Subject: c\n\n" + b"x" * 100_000 + b"\n",
]


@pytest.fixture(scope="module")
def account() -> Iterator[str]:
    with testing.serving() as server:
        server.add("ann", "secret", *LETTERS)
        yield f"pop3://ann@{server.host}:{server.port}"


def collect(found: Sequence[tuple[int, object]]) -> dict[int, bytes]:
    octets: dict[int, bytes] = {}
    ended = []
    for number, piece in found:
        if isinstance(piece, bytes):
            octets[number] = octets.get(number, b"") + piece
        else:
            assert isinstance(piece, MessageEnd)
            ended.append(number)
    assert ended == [1, 2, 3, 4]
    return octets


EXPECTED = {n: letter.replace(b"\n", b"\r\n") for n, letter in enumerate(LETTERS, 1)}


def test_iterators(account: str) -> None:
    """Numbers may be an iterator, which can be read only once."""

    async def retrieve() -> list[tuple[int, object]]:
        async with restante.connect(account, "secret") as drop:
            return [pair async for pair in drop.retrieve_many(iter([1, 2, 3, 4]))]

    with blocking.connect(account, "secret") as drop:
        assert collect(list(drop.retrieve_many(iter([1, 2, 3, 4])))) == EXPECTED
    assert collect(asyncio.run(retrieve())) == EXPECTED


def test_blocking(account: str) -> None:
    """All messages come octet for octet, each with its end, and the session goes on."""
    with blocking.connect(account, "secret") as drop:
        assert collect(list(drop.retrieve_many([1, 2, 3, 4]))) == EXPECTED
        assert drop.headers([1]) == [b"Subject: a\r\n\r\n"]


def test_no_quit() -> None:
    """Messages that were retrieved stay: no QUIT is sent, by which some servers remove them."""
    with faulty_server() as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            assert list(drop.retrieve_many([1, 2]))
        assert server.commands[-2:] == ["RETR 1", "RETR 2"]


def test_asyncio(account: str) -> None:
    """The asyncio face gives the same."""

    async def run() -> dict[int, bytes]:
        async with restante.connect(account, "secret") as drop:
            return collect([pair async for pair in drop.retrieve_many([1, 2, 3, 4])])

    assert asyncio.run(run()) == EXPECTED


def test_too_large(account: str) -> None:
    """A message over the limit is rejected before anything is sent."""
    with (
        blocking.connect(account, "secret", message_octets=1000) as drop,
        pytest.raises(LocalError, match="message_octets"),
    ):
        list(drop.retrieve_many([1, 4]))


SMUGGLED = b"Subject: a\r\n\r\nfirst\r\n.\r\n+OK second\r\nforged\r\n"


def retrieve(*faults: str | Alteration) -> list[tuple[int, object]]:
    messages = (SMUGGLED, b"Subject: b\r\n\r\nreal\r\n")
    with faulty_server(*faults, messages=messages) as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            assert drop.session.can_pipeline
            return list(drop.retrieve_many([1, 2]))


def test_smuggled_reply() -> None:
    """A line of a message that is not stuffed never passes for the reply to the next command."""
    with pytest.raises(MalformedReplyError) as caught:
        retrieve("retr-unstuffed")
    assert caught.value.id == "list-size"


def test_smuggled_reply_between_bare_line_ends() -> None:
    """That holds where lines end with LF, and the lines before the dot make up for the rest."""
    cut = b"Subject: a\n\n" + b"\n" * 20
    smuggled = cut + b".\n+OK second\nforged\n"
    size = len(cut) + cut.count(b"\n")  # as if LIST counted CR LF, and the message ended here
    raw = instead("RETR", b"+OK\n" + smuggled + b".\n")
    with pytest.raises(MalformedReplyError) as caught:
        retrieve(f"LIST: with 1 {size}", raw)
    assert caught.value.id == "list-size"


def test_refused_message() -> None:
    """A refused message is reported with its number, and the next one comes."""

    found = retrieve("retr-refused")
    assert isinstance(found[0][1], ServerRefusedError)
    assert [number for number, _ in found] == [1, 2, 2]


def test_cut_message() -> None:
    """A message that is cut off is an error, not an end."""
    with pytest.raises(RemoteError) as caught:
        retrieve("retr-cut")
    assert caught.value.id == "msg-truncated"


@pytest.mark.parametrize(("ending", "seconds"), [("close", 60), ("silence", 1)])
def test_messages_before_a_lost_connection(ending: str, seconds: float) -> None:
    """What came whole before the connection was lost has its end, in both faces."""
    found: list[tuple[int, object]] = []

    async def run(url: str) -> None:
        async with restante.connect(url, PASSWORD, reply_seconds=seconds) as drop:
            async for pair in drop.retrieve_many([1, 2]):
                found.append(pair)  # noqa: PERF401  # those before the error count

    messages = (b"Subject: a\r\n\r\nfirst\r\n", b"Subject: b\r\n\r\nsecond\r\n")
    with faulty_server(f"RETR 2: {ending}", messages=messages) as server:
        with (
            pytest.raises(RemoteError),
            blocking.connect(server.url, PASSWORD, reply_seconds=seconds) as drop,
        ):
            for pair in drop.retrieve_many([1, 2]):
                found.append(pair)  # noqa: PERF402
        with pytest.raises(RemoteError):
            asyncio.run(run(server.url))
    assert [type(piece) for _, piece in found] == [bytes, MessageEnd] * 2
