"""Messages of another size than LIST's, and heads of any size."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import restante
from restante.client import blocking
from restante.client.messages import SizeWarning
from restante.protocol.client import operations
from restante.protocol.errors import MalformedReplyError, ServerRefusedError
from support.faulty_server import HELLO, PASSWORD, SECOND, faulty_server

WRONG = "LIST: with 1 5"


def test_size_warning_names_the_caller() -> None:
    """A warning about a size points at the code that read the message."""

    async def read(url: str) -> None:
        async with restante.connect(url, PASSWORD) as drop:
            await drop[1].read()
            async with drop[1].open() as chunks:
                await exhaust(chunks)

    async def exhaust(chunks: AsyncIterator[bytes]) -> None:
        async for _ in chunks:  # CPython 3.11 does not show this frame, but its caller
            pass

    with faulty_server(WRONG) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with blocking.connect(server.url, PASSWORD) as drop:
            drop[1].read()
            list(drop.retrieve(1))
            with drop[1].open() as chunks:
                b"".join(chunks)
        asyncio.run(read(server.url))
    sizes = [w for w in caught if w.category is SizeWarning]
    assert [Path(w.filename).name for w in sizes] == [Path(__file__).name] * 5


def test_a_wrong_size_ends_nothing_but_the_message() -> None:
    """A wrong size is an error of its message, and the session goes on."""
    with faulty_server(WRONG) as server:
        with blocking.connect(server.url, PASSWORD, wrong_size="error") as drop:
            with pytest.raises(
                MalformedReplyError, match=r"list-size: message 1 .* \(after RETR 1\)"
            ):
                drop[1].read()
            assert drop[2].read() == SECOND

    async def read(url: str) -> bytes:
        async with restante.connect(url, PASSWORD, wrong_size="error") as drop:
            with pytest.raises(MalformedReplyError, match="list-size"):
                await drop[1].read()
            return await drop[2].read()

    with faulty_server(WRONG) as server:
        assert asyncio.run(read(server.url)) == SECOND


def test_warning_as_error() -> None:
    """A warning that is raised as an error keeps the connection usable."""
    with faulty_server(WRONG) as server, warnings.catch_warnings():
        warnings.simplefilter("error", SizeWarning)
        with blocking.connect(server.url, PASSWORD) as drop:
            with pytest.raises(SizeWarning):
                drop[1].read()
            assert drop[2].read() == SECOND


def test_a_large_header_comes_whole() -> None:
    """A header of three megabytes is read whole."""
    header = b"Subject: large\r\nX-Large: " + b"y" * 3_000_000 + b"\r\n\r\n"
    with faulty_server(messages=[header + b"body\r\n", HELLO]) as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            assert drop[1].top() == header


def test_a_head_that_does_not_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header over the limit is an error."""
    monkeypatch.setattr(operations, "LISTING_LIMIT", 1000)
    header = b"Subject: large\r\nX-Large: " + b"y" * 3000 + b"\r\n\r\n"
    with faulty_server(messages=[header, HELLO]) as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            with pytest.raises(MalformedReplyError, match="and no end"):
                drop[1].top()


def test_a_refused_top_is_named_as_a_refused_message_is() -> None:
    """A rejected TOP has the same id as a rejected RETR."""
    with faulty_server("TOP 2: -ERR [SYS/TEMP] later") as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            head, refused = drop.headers([1, 2])
            assert isinstance(head, bytes)
            assert isinstance(refused, ServerRefusedError)
            assert (refused.id, refused.code) == ("retr-refused", "SYS/TEMP")
            for ask in (drop[2].header, drop[2].top):
                with pytest.raises(ServerRefusedError, match="retr-refused"):
                    ask()

        async def ask_again() -> None:
            async with restante.connect(server.url, PASSWORD) as drop:
                for ask in (drop[2].header, drop[2].top):
                    with pytest.raises(ServerRefusedError, match="retr-refused"):
                        await ask()

        asyncio.run(ask_again())
