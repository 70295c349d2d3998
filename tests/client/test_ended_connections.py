"""Connections that have ended, with each event loop, and in a child process."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest
import uvloop

import restante
from restante import blocking
from restante.client import aio, asyncio_driver
from restante.client.credentials import Credentials
from restante.client.maildrop import open_maildrop
from restante.client.options import Options, parse_url
from restante.client.session import ClientSession
from restante.client.tls import unverified_context
from restante.protocol.errors import ConnectionLostError, LocalError
from support.faulty_server import HELLO, PASSWORD, faulty_server

Run: TypeAlias = Callable[[Coroutine[Any, Any, object]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine in each event loop."""

    def run(work: Coroutine[Any, Any, object]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(work)

    return run


async def opened(url: str, options: Options) -> tuple[asyncio.StreamWriter, aio.Maildrop]:
    """Return a connection, and the maildrop on it."""
    session = ClientSession(parse_url(url), options)
    reader, writer = await asyncio.open_connection(session.target.host, session.target.port)
    driver = asyncio_driver.AsyncioDriver(session, reader, writer)
    state = await driver.run(open_maildrop(session, Credentials("ann", PASSWORD)))
    return writer, aio.Maildrop(driver, state)


def test_a_connection_that_was_reset_is_lost(run: Run) -> None:
    """After a reset of an idle connection a call is a RemoteError, and later ones are refused."""

    async def read(url: str) -> None:
        writer, drop = await opened(url, Options())
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        with pytest.raises(ConnectionLostError, match="reset"):
            await drop[1].read()
        with pytest.raises(LocalError, match="connect again"):
            await drop[1].read()
        await drop.close()

    with faulty_server("UIDL: reset at 100%") as server:
        run(read(server.url))


def test_a_connection_may_be_closed_twice(run: Run) -> None:
    """After a call that was left, later ones are refused, and closing is silent."""

    async def leave(url: str) -> None:
        writer, drop = await opened(url, Options(context=unverified_context()))
        pieces = drop.retrieve(1)
        await anext(pieces)
        await pieces.aclose()
        await writer.wait_closed()
        with pytest.raises(LocalError, match="connect again"):
            await drop[2].read()
        await drop.close()
        drop.abort()

    with faulty_server(messages=[HELLO * 10_000, HELLO], tls=True) as server:
        run(leave(server.url))


@pytest.mark.parametrize("tls", [False, True])
def test_a_child_only_closes_its_copy(*, tls: bool) -> None:
    """A forked child can neither use the connection, nor end it, nor remove what is marked."""
    with faulty_server(tls=tls) as server:
        with blocking.connect(server.url, PASSWORD, context=unverified_context()) as drop:
            if (child := os.fork()) == 0:
                with contextlib.suppress(LocalError), drop:
                    drop[1].read()
                    os._exit(1)
                drop.close()
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert drop[1].read() == HELLO
    assert server.commands[-2:] == ["UIDL", "RETR 1"]


def test_what_the_parent_marked_stays() -> None:
    """rfc1939-s6/only-quit-removes: nor does a child that leaves the block remove anything."""
    with faulty_server() as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            ready, go = os.pipe()
            if (child := os.fork()) == 0:
                with drop:
                    os.read(ready, 1)  # the parent has marked a message
                os._exit(0)
            drop.delete(1)
            os.write(go, b".")
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert "QUIT" not in server.commands
    assert server.removed == []


def test_a_child_cannot_use_an_event_loop_of_its_parent() -> None:
    """Nor does a child that goes on with the parent's event loop remove anything."""
    with faulty_server() as server, asyncio.Runner() as runner:
        connection = restante.connect(server.url, PASSWORD)
        drop = runner.run(connection.__aenter__())
        runner.run(drop.delete(2))
        if (child := os.fork()) == 0:
            with contextlib.suppress(LocalError):
                runner.run(drop.commit())
                os._exit(1)
            drop.abort()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert runner.run(drop[1].read()) == HELLO
        runner.run(connection.__aexit__(None, None, None))
    assert "QUIT" not in server.commands


def test_a_call_in_another_event_loop(run: Run) -> None:
    """A call in another thread's event loop sends nothing, and the connection goes on."""

    async def call_elsewhere(url: str) -> None:
        async with restante.connect(url, PASSWORD) as drop:
            for call in (drop[1].read, drop.commit, lambda: drop.delete(1)):
                with pytest.raises(LocalError, match="belongs to another event loop"):
                    await asyncio.to_thread(run, call())
            assert await drop[1].read() == HELLO

    with faulty_server() as server:
        run(call_elsewhere(server.url))
    assert server.commands[-2:] == ["UIDL", "RETR 1"]


def test_close_in_another_event_loop(run: Run) -> None:
    """Any thread may close a connection, at once."""

    async def close_elsewhere(url: str) -> None:
        writer, drop = await opened(url, Options())
        await asyncio.to_thread(run, drop.close())
        await writer.wait_closed()
        writer, drop = await opened(url, Options())
        await asyncio.to_thread(drop.abort)
        await writer.wait_closed()
        with pytest.raises(LocalError, match="has ended"):
            await drop[1].read()

    with faulty_server() as server:
        run(close_elsewhere(server.url))
