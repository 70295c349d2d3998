"""Many messages retrieved with commands sent ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

import restante
from restante import blocking, testing
from restante.protocol.client.operations import MessageEnd
from restante.protocol.errors import (
    LocalError,
    MalformedReplyError,
    RemoteError,
    ServerRefusedError,
)
from support.broken_server import CLOSE, broken

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


def test_blocking(account: str) -> None:
    """All messages come octet for octet, each with its end, and the session goes on."""
    with blocking.connect(account, "secret") as drop:
        assert collect(list(drop.retrieve_many([1, 2, 3, 4]))) == EXPECTED
        assert drop.headers([1]) == [b"Subject: a\r\n\r\n"]


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


CAPA = b"+OK\r\nTOP\r\nUIDL\r\nUSER\r\nPIPELINING\r\n.\r\n"
SMUGGLED = b"Subject: a\r\n\r\nfirst\r\n.\r\n+OK second\r\nforged\r\n"


def retrieve(replies: Mapping[str, bytes | Callable[[str], bytes]]) -> list[tuple[int, object]]:
    messages = (SMUGGLED, b"Subject: b\r\n\r\nreal\r\n")
    with broken({"CAPA": CAPA, **replies}, messages=messages) as server:
        with blocking.connect(f"pop3://ann@127.0.0.1:{server.port}", "secret") as drop:
            assert drop.session.can_pipeline
            return list(drop.retrieve_many([1, 2]))


def test_smuggled_reply() -> None:
    """A line of a message that is not stuffed never passes for the reply to the next command."""
    raw = {"RETR": lambda line: b"+OK\r\n" + (SMUGGLED if " 1" in line else b"x\r\n") + b".\r\n"}
    with pytest.raises(MalformedReplyError) as caught:
        retrieve(raw)
    assert caught.value.id == "list-size"


def test_smuggled_reply_between_bare_line_ends() -> None:
    """That holds where lines end with LF, and the lines before the dot make up for the rest."""
    cut = b"Subject: a\n\n" + b"\n" * 20
    smuggled = cut + b".\n+OK second\nforged\n"
    size = len(cut) + cut.count(b"\n")  # as if LIST counted CR LF, and the message ended here
    listing = f"+OK\r\n1 {size}\r\n2 1\r\n.\r\n".encode()
    with pytest.raises(MalformedReplyError) as caught:
        retrieve({"RETR": b"+OK\n" + smuggled + b".\n", "LIST": listing})
    assert caught.value.id == "list-size"


def test_refused_message() -> None:
    """A refused message is reported with its number, and the next one comes."""

    def reply(line: str) -> bytes:
        return b"-ERR locked\r\n" if " 1" in line else b"+OK\r\nSubject: b\r\n\r\nreal\r\n.\r\n"

    found = retrieve({"RETR": reply})
    assert isinstance(found[0][1], ServerRefusedError)
    assert [number for number, _ in found] == [1, 2, 2]


def test_cut_message() -> None:
    """A message that is cut off is an error, not an end."""
    with pytest.raises(RemoteError) as caught:
        retrieve({"RETR": b"+OK\r\nSubject: a\r\n" + CLOSE})
    assert caught.value.id == "msg-truncated"
