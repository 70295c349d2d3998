"""What a server may send is bounded in all, and by default."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

import restante
from restante import blocking
from restante.client.options import Options
from restante.protocol.errors import LocalError, MalformedReplyError
from support.broken_server import Broken, broken
from support.command import pop3

PIECE = b"x" * 998 + b"\r\n"
HUGE = 10**15


def listing(size: int) -> dict[str, bytes]:
    return {"LIST": f"+OK\r\n1 {size}\r\n.\r\n".encode(), "UIDL": b"+OK\r\n1 a\r\n.\r\n"}


def url(server: Broken) -> str:
    return f"pop3://ann@127.0.0.1:{server.port}"


def fetched_blocking(server: Broken, most: int | None) -> int:
    with blocking.connect(url(server), "hunter22", message_octets=most, wrong_size="error") as drop:
        return len(drop[1].read())


def fetched_asyncio(server: Broken, most: int | None) -> int:
    async def fetched() -> int:
        given = Options(message_octets=most, wrong_size="error")
        async with restante.connect(url(server), "hunter22", given) as drop:
            return len(await drop[1].read())

    return asyncio.run(fetched())


FACES = pytest.mark.parametrize("face", [fetched_blocking, fetched_asyncio])
Face = Callable[[Broken, int | None], int]


@FACES
def test_promised_size(face: Face) -> None:
    """A message that LIST calls too large is not fetched, and the connection goes on."""
    with broken(listing(HUGE)) as server:
        with pytest.raises(LocalError, match="message_octets allows 268435456"):
            face(server, Options().message_octets)
        assert "RETR 1" not in server.heard
    with broken(listing(2001)) as server, pytest.raises(LocalError, match="allows 2000"):
        face(server, 2000)


@FACES
def test_message_beyond_its_promise(face: Face) -> None:
    """A message that LIST called small ends at the bound, whatever comes."""
    endless = b"+OK\r\n" + PIECE * 100
    with broken({**listing(50), "RETR": endless}) as server:
        with pytest.raises(MalformedReplyError, match="and no end"):
            face(server, 50_000)
    whole = b"+OK\r\n" + PIECE * 50 + b".\r\n"
    with broken({**listing(50_000), "RETR": whole}) as server:
        assert face(server, 50_000) == 50_000
        assert face(server, None) == 50_000


@pytest.mark.parametrize("value", [0, -1, "x"])
def test_the_bound_is_a_number(value: int) -> None:
    """What bounds nothing is refused."""
    with pytest.raises(ValueError, match="message_octets"):
        Options(message_octets=value)


def test_show_has_its_own_bound() -> None:
    """--max-size alone bounds what `show` fetches."""
    whole = b"+OK\r\nSubject: a\r\n\r\n" + PIECE * 50 + b".\r\n"
    with broken({**listing(50_014), "RETR": whole}) as server:
        assert pop3("show", url(server), 1, "--raw", "--max-size", "49k").code == 0
        assert pop3("show", url(server), 1, "--raw", "--max-size", "40k").code != 0


@pytest.mark.parametrize("command", ["LIST", "UIDL", "TOP 1 0"])
def test_reply_without_end(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists and heads end at their bounds."""
    monkeypatch.setattr("restante.protocol.client.connection.MOST_LINES", 1000)
    monkeypatch.setattr("restante.protocol.client.operations.LISTING_LIMIT", 100_000)
    lines = b"".join(b"%d 10\r\n" % number for number in range(1, 20_000))
    with broken({**listing(10), command: b"+OK\r\n" + lines}) as server:
        with pytest.raises(MalformedReplyError, match="and no end"):
            with blocking.connect(url(server), "hunter22") as drop:
                drop[1].top()
