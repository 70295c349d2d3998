"""The replies of a server are bounded in sum, and by default."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

import restante
from restante import blocking
from restante.client.options import Options
from restante.misbehave.changes import instead
from restante.misbehave.driver import FaultyServer
from restante.protocol.errors import LocalError, MalformedReplyError
from support.command import pop3
from support.faulty_server import PASSWORD, faulty_server

PIECE = b"x" * 998 + b"\r\n"
HUGE = 10**15


def fetched_blocking(server: FaultyServer, most: int | None) -> int:
    with blocking.connect(server.url, PASSWORD, message_octets=most, wrong_size="error") as drop:
        return len(drop[1].read())


def fetched_asyncio(server: FaultyServer, most: int | None) -> int:
    async def fetched() -> int:
        given = Options(message_octets=most, wrong_size="error")
        async with restante.connect(server.url, PASSWORD, given) as drop:
            return len(await drop[1].read())

    return asyncio.run(fetched())


FACES = pytest.mark.parametrize("face", [fetched_blocking, fetched_asyncio])
Face = Callable[[FaultyServer, int | None], int]


@FACES
def test_promised_size(face: Face) -> None:
    """A message that LIST calls too large is not fetched, and the connection goes on."""
    with faulty_server(f"LIST: with 1 {HUGE}") as server:
        with pytest.raises(LocalError, match="message_octets allows 268435456"):
            face(server, Options().message_octets)
        assert "RETR 1" not in server.commands
    with faulty_server("LIST: with 1 2001") as server:
        with pytest.raises(LocalError, match="allows 2000"):
            face(server, 2000)


@FACES
def test_message_beyond_its_promise(face: Face) -> None:
    """A message that LIST called small ends at the bound, whatever comes."""
    endless = b"+OK\r\n" + PIECE * 100
    with faulty_server("LIST: with 1 50", instead("RETR", endless)) as server:
        with pytest.raises(MalformedReplyError, match="and no end"):
            face(server, 50_000)
    with faulty_server(messages=(PIECE * 50,)) as server:
        assert face(server, 50_000) == 50_000
        assert face(server, None) == 50_000


@pytest.mark.parametrize("value", [0, -1, "x"])
def test_the_bound_is_a_number(value: int) -> None:
    """A bound that bounds nothing is rejected."""
    with pytest.raises(ValueError, match="message_octets"):
        Options(message_octets=value)


def test_show_has_its_own_bound() -> None:
    """--max-size alone bounds what `show` fetches."""
    with faulty_server(messages=(b"Subject: a\r\n\r\n" + PIECE * 50,)) as server:
        assert pop3("show", server.url, 1, "--raw", "--max-size", "49k").code == 0
        assert pop3("show", server.url, 1, "--raw", "--max-size", "40k").code != 0


@pytest.mark.parametrize("command", ["LIST", "UIDL", "TOP"])
def test_reply_without_end(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists and heads end at their bounds."""
    monkeypatch.setattr("restante.protocol.client.connection.MAX_LINES", 1000)
    monkeypatch.setattr("restante.protocol.client.operations.LISTING_LIMIT", 100_000)
    lines = b"".join(b"%d 10\r\n" % number for number in range(1, 20_000))
    with faulty_server(instead(command, b"+OK\r\n" + lines)) as server:
        with pytest.raises(MalformedReplyError, match="and no end"):
            with blocking.connect(server.url, PASSWORD) as drop:
                drop[1].top()
