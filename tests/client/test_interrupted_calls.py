"""Calls that are broken off, refused, or made at the same time: no reply is taken for another's."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import restante
from restante.client import aio, asyncio_driver, blocking, socket_driver
from restante.client.credentials import Credentials
from restante.client.maildrop import open_maildrop
from restante.client.options import Options, parse_url
from restante.client.session import ClientSession
from restante.client.tls import unverified_context
from restante.misbehave.conversation import ReplyParts
from restante.misbehave.rules import on
from restante.protocol.errors import LocalError, RemoteError, ServerRefusedError
from support.faulty_server import HELLO, PASSWORD, SECOND, faulty_server


class Gate:
    """A change of a reply that lets it go when the test says so."""

    def __init__(self) -> None:
        self.asked, self.open = threading.Event(), threading.Event()

    def __call__(self, reply: ReplyParts) -> ReplyParts:
        self.asked.set()
        self.open.wait(10)
        return reply


async def opened(url: str) -> tuple[asyncio.StreamWriter, asyncio_driver.AsyncioDriver]:
    """Return a connection under asyncio, and its driver."""
    session = ClientSession(parse_url(url))
    reader, writer = await asyncio.open_connection(session.target.host, session.target.port)
    return writer, asyncio_driver.AsyncioDriver(session, reader, writer)


async def maildrop_of(driver: asyncio_driver.AsyncioDriver) -> aio.Maildrop:
    return aio.Maildrop(
        driver, await driver.run(open_maildrop(driver.session, Credentials("ann", PASSWORD)))
    )


async def when_asked(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.asked.wait, 10)


HEADER = HELLO.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


class Alarm(Exception):  # noqa: N818  # it is a signal
    """The exception of a signal handler."""


@contextlib.contextmanager
def alarmed(gate: Gate) -> Iterator[None]:
    """Raise Alarm in this thread, the main one, once the server was asked."""

    def ring(*_: object) -> None:
        raise Alarm

    def wait() -> None:
        gate.asked.wait(10)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, ring)
    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        yield
    finally:
        waiting.join(10)
        signal.signal(signal.SIGUSR1, before)


def test_a_delete_that_was_cancelled_deletes_nothing() -> None:
    """rfc1939-s6/only-quit-removes."""
    gate = Gate()

    async def cancelled(url: str) -> None:
        async with restante.connect(url, PASSWORD) as drop:
            deleting = asyncio.create_task(drop.delete(1))
            await when_asked(gate)
            deleting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await deleting
            gate.open.set()

    with faulty_server(on("DELE", gate)) as server:
        asyncio.run(cancelled(server.url))
    assert "QUIT" not in server.commands


def test_interrupted_delete() -> None:
    """rfc1939-s6/only-quit-removes: a delete that a signal interrupted removes nothing."""
    gate = Gate()
    with faulty_server(on("DELE", gate)) as server:
        drop = blocking.connect(server.url, PASSWORD)
        with alarmed(gate), pytest.raises(Alarm):
            drop.delete(1)
        gate.open.set()
        drop.close()
    assert "QUIT" not in server.commands


def test_late_reply_ends_connection() -> None:
    """After a reply that did not arrive in time, no further call succeeds."""
    gate = Gate()
    with faulty_server(on("TOP", gate, number=1)) as server:
        with blocking.connect(server.url, PASSWORD, reply_seconds=1) as drop:
            with pytest.raises(RemoteError, match="stalled"):
                drop[1].header()
            gate.open.set()
            with pytest.raises(LocalError, match="connect again"):
                drop[2].header()
    assert "TOP 2 0" not in server.commands


def test_cancelled_call_ends_connection() -> None:
    """After a cancelled call, no further call succeeds."""
    gate = Gate()

    async def cancelled(url: str) -> None:
        async with restante.connect(url, PASSWORD) as drop:
            reading = asyncio.create_task(drop[1].header())
            await when_asked(gate)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            gate.open.set()
            with pytest.raises(LocalError, match="connect again"):
                await drop[2].header()

    with faulty_server(on("TOP", gate, number=1)) as server:
        asyncio.run(cancelled(server.url))
    assert "TOP 2 0" not in server.commands


def test_a_cancelled_call_hangs_up_at_once() -> None:
    """A cancelled call closes its connection."""
    gate = Gate()

    async def cancelled(url: str) -> bool:
        writer, driver = await opened(url)
        drop = await maildrop_of(driver)
        calling = asyncio.create_task(drop.undelete())
        await when_asked(gate)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        return writer.is_closing()

    with faulty_server(on("RSET", gate)) as server:
        assert asyncio.run(cancelled(server.url))
        gate.open.set()


def test_calls_at_once() -> None:
    """Two calls at the same time do not get each other's replies."""

    async def both(url: str) -> tuple[Any, ...]:
        async with restante.connect(url, PASSWORD) as drop:
            first, second = await asyncio.gather(
                drop[1].read(), drop[2].read(), return_exceptions=True
            )
            return first, second, await drop[2].read()

    with faulty_server() as server:
        first, second, again = asyncio.run(both(server.url))
    assert first == HELLO
    assert isinstance(second, LocalError)
    assert "one call at a time" in str(second)
    assert again == SECOND


def test_commit_during_call_rejected() -> None:
    """A commit during another call is rejected and harms nothing."""
    gate = Gate()

    async def both(url: str) -> None:
        async with restante.connect(url, PASSWORD) as drop:
            deleting = asyncio.create_task(drop.delete(1))
            await when_asked(gate)
            with pytest.raises(LocalError, match="one call at a time"):
                await drop.commit()
            gate.open.set()
            await deleting
            await drop.commit()

    with faulty_server(on("DELE", gate)) as server:
        asyncio.run(both(server.url))
    assert server.commands.count("QUIT") == 1


def test_two_threads_do_not_take_each_others_replies() -> None:
    """A second call during the first is an error, and each reply reaches its own call."""
    gate = Gate()
    got: list[bytes] = []
    with faulty_server(on("TOP", gate, number=1)) as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            other = threading.Thread(target=lambda: got.append(drop[1].top()))
            other.start()
            assert gate.asked.wait(10)
            with pytest.raises(LocalError, match="one call at a time"):
                drop[2].top()
            gate.open.set()
            other.join(10)
            assert drop[2].top() == b"Subject: Second\r\n\r\n"
    assert got == [HEADER]


def test_closing_while_a_call_is_under_way_hangs_up() -> None:
    """Closing during a call of another thread ends that call, without QUIT."""
    gate = Gate()
    failed: list[RemoteError] = []

    def undelete(drop: blocking.Maildrop) -> None:
        try:
            drop.undelete()
        except RemoteError as error:
            failed.append(error)

    with faulty_server(on("RSET", gate)) as server:
        drop = blocking.connect(server.url, PASSWORD)
        other = threading.Thread(target=undelete, args=(drop,))
        other.start()
        assert gate.asked.wait(10)
        drop.close()
        other.join(10)
        waited = other.is_alive()
        gate.open.set()
        other.join(20)
    assert not waited
    assert [error.id for error in failed] == ["conn-lost"]
    assert "QUIT" not in server.commands


def test_command_during_read_rejected() -> None:
    """A command while a message is read is rejected, and the message is read whole."""
    body = HELLO + b"x\r\n" * 100_000
    with faulty_server(messages=(body, SECOND)) as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            with drop[1].open() as chunks:
                first = next(chunks)
                with pytest.raises(LocalError, match="one call at a time"):
                    drop[2].header()
                assert first + b"".join(chunks) == body
            assert drop[2].read() == SECOND


def test_message_left_early() -> None:
    """A message that was left early ends the connection."""
    with faulty_server() as server, blocking.connect(server.url, PASSWORD) as drop:
        for _ in drop.retrieve(1):
            break
        with pytest.raises(LocalError, match="connect again"):
            drop.delete(2)
    assert "DELE 2" not in server.commands


def test_unread_message_is_harmless() -> None:
    """A message that was opened but not read leaves the connection usable."""
    with faulty_server() as server, blocking.connect(server.url, PASSWORD) as drop:
        with drop[1].open():
            pass
        assert drop[2].read() == SECOND

    async def read(url: str) -> bytes:
        async with restante.connect(url, PASSWORD) as drop:
            async with drop[1].open():
                pass
            return await drop[2].read()

    with faulty_server() as server:
        assert asyncio.run(read(server.url)) == SECOND


def test_rejected_retr_keeps_connection() -> None:
    """A rejected RETR leaves the connection usable."""
    with faulty_server("RETR 1: -ERR marked") as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            with pytest.raises(ServerRefusedError):
                drop[1].read()
            assert drop[2].read() == SECOND

    async def read(url: str) -> bytes:
        async with restante.connect(url, PASSWORD) as drop:
            with pytest.raises(ServerRefusedError):
                await drop[1].read()
            return await drop[2].read()

    with faulty_server("RETR 1: -ERR marked") as server:
        assert asyncio.run(read(server.url)) == SECOND


@contextlib.contextmanager
def behind_tls() -> Iterator[str]:
    with faulty_server(tls=True) as server:
        yield f"pop3s://ann@127.0.0.1:{server.tls_port}"


ENDINGS: list[tuple[str, Callable[[blocking.Maildrop], object]]] = [
    ("commit", lambda drop: drop.commit()),
    ("abort", lambda drop: drop.abort()),
    ("close", lambda drop: drop.close()),
    ("left early", lambda drop: next(drop.retrieve(1))),
]


@pytest.mark.parametrize("end", [e[1] for e in ENDINGS], ids=[e[0] for e in ENDINGS])
def test_a_maildrop_that_is_closed_says_so(end: Callable[[blocking.Maildrop], object]) -> None:
    """A call on a closed maildrop is an error."""
    with behind_tls() as url:
        drop = blocking.connect(url, PASSWORD, context=unverified_context())
        end(drop)
        for call in (drop[1].read, drop[1].header, drop.commit, lambda: drop.delete(1)):
            with pytest.raises(LocalError, match="connect again"):
                call()
        drop.close()


def test_closed_maildrop_in_asyncio() -> None:
    """In asyncio, too, calls on a closed maildrop say that it is closed."""

    async def closed(url: str) -> None:
        async with aio.connect(url, PASSWORD, context=unverified_context()) as drop:
            await drop.commit()
            for call in (drop[1].read, drop[1].header, drop.commit, drop.undelete):
                with pytest.raises(LocalError, match="connect again"):
                    await call()

    async def left_early(url: str) -> None:
        async with aio.connect(url, PASSWORD, context=unverified_context()) as drop:
            async with drop[1].open() as chunks:
                await anext(chunks)
            with pytest.raises(LocalError, match="connect again"):
                await drop[2].read()

    with behind_tls() as url:
        asyncio.run(closed(url))
        asyncio.run(left_early(url))


def test_a_connection_whose_tls_is_over_is_lost() -> None:
    """If TLS has ended, the connection is lost."""
    with behind_tls() as url:
        target = parse_url(url)
        driver = socket_driver.dial(ClientSession(target, Options(context=unverified_context())))
        drop = blocking.Maildrop(
            driver, driver.run(open_maildrop(driver.session, Credentials("ann", PASSWORD)))
        )
        driver.io.tls_close_notify()
        with pytest.raises(RemoteError, match="conn-lost"):
            drop.undelete()
        drop.close()


def test_a_close_that_is_cancelled_closes_the_socket() -> None:
    """A cancelled close still closes the socket."""
    gate = Gate()

    async def cancelled(url: str) -> bool:
        writer, driver = await opened(url)
        drop = await maildrop_of(driver)
        closing = asyncio.create_task(drop.close())
        await when_asked(gate)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        return writer.is_closing()

    with faulty_server(on("QUIT", gate)) as server:
        assert asyncio.run(cancelled(server.url))
        gate.open.set()


def test_interrupted_close() -> None:
    """A close that a signal interrupted closes the socket."""
    gate = Gate()
    with faulty_server(on("QUIT", gate)) as server:
        driver = socket_driver.dial(ClientSession(parse_url(server.url)))
        drop = blocking.Maildrop(
            driver, driver.run(open_maildrop(driver.session, Credentials("ann", PASSWORD)))
        )
        with alarmed(gate), pytest.raises(Alarm):
            drop.close()
        assert driver.socket.fileno() == -1
        gate.open.set()


def test_blocked_connection_is_closed() -> None:
    """Octets that wait to be sent do not keep the socket open."""

    async def stuck(url: str) -> bool:
        writer, driver = await opened(url)
        drop = await maildrop_of(driver)
        while not writer.transport.get_write_buffer_size():
            writer.write(b"NOOP\r\n" * 100_000)
        drop.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        closed: bool = writer.transport.get_extra_info("socket").fileno() == -1
        return closed

    with faulty_server("NOOP: silence") as server:
        assert asyncio.run(stuck(server.url))


def test_unsent_command_keeps_connection() -> None:
    """An exception before a command is sent leaves the connection usable."""
    with faulty_server() as server, blocking.connect(server.url, PASSWORD) as drop:
        with pytest.raises(LocalError, match="line end"):
            list(drop.raw_command("NOOP\r\nDELE 1", []))
        assert drop[1].read() == HELLO
