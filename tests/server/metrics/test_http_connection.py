"""HTTP clients of all kinds: what they get, and how long they may take."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Awaitable, Callable

import pytest

from restante.server.metrics.http_connection import (
    LONGEST_HEAD,
    HttpConnection,
    HttpReply,
    HttpService,
)

BIG = b"x" * 32_000_000  # more than the kernel holds for a client that does not read
ONLY = b"only /metrics, /livez and /readyz are served\n"
METHODS = b"only GET and HEAD are allowed\n"
POST = b"POST /readyz HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"


async def ready(_accepted: str) -> HttpReply:
    return HttpReply(200, b"ready\n")


async def echo(accepted: str) -> HttpReply:
    return HttpReply(200, accepted.encode())


async def slow(_accepted: str) -> HttpReply:
    await asyncio.sleep(0.05)
    return HttpReply(200, b"ready\n")


async def big(_accepted: str) -> HttpReply:
    return HttpReply(200, BIG)


async def fail(_accepted: str) -> HttpReply:
    raise OSError("secret")


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not become true")


Talk = Callable[[HttpService, int], Awaitable[None]]


def serve(talk: Talk, patience: float = 60, most_clients: int = 16) -> list[Exception]:
    """Serve while a client talks, and return the unforeseen errors."""
    errors: list[Exception] = []

    async def run() -> None:
        answers = {"/readyz": ready, "/echo": echo, "/big": big, "/fail": fail, "/slow": slow}
        service = HttpService(
            answers=answers, on_error=errors.append, patience=patience, most_clients=most_clients
        )
        connect = functools.partial(HttpConnection, service)
        server = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0)
        await talk(service, server.sockets[0].getsockname()[1])
        server.close()
        service.close()

    asyncio.run(run())
    return errors


async def say(port: int, octets: bytes) -> bytes:
    """Send octets, and return all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(octets)
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


REQUESTS = [
    (b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", b"200", b"ready\n"),
    (b"GET /readyz?a=b HTTP/1.1\r\nHost: a\r\n\r\n", b"200", b"ready\n"),
    (b"GET /readyz HTTP/1.0\r\n\r\n", b"200", b"ready\n"),
    (b"HEAD /readyz HTTP/1.1\r\nHost: a\r\n\r\n", b"200", b""),
    (b"GET /echo HTTP/1.1\r\nHost: a\r\nAccept: a\r\nAccept: b\r\n\r\n", b"200", b"a,b"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"404", ONLY),
    (b"GET /../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", b"404", ONLY),
    (POST, b"405", METHODS),
    (b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n", b"500", b"internal error: see the log\n"),
    (b"USER ann\r\n\r\n", b"400", b"the request is no HTTP\n"),
    (b"GET /readyz HTTP/1.1\r\nX: " + b"x" * LONGEST_HEAD, b"400", b"the request is no HTTP\n"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "status", "body"), REQUESTS)
def test_answer(request_: bytes, status: bytes, body: bytes) -> None:
    """Each request gets one answer, whose length is right, and then the end."""

    async def talk(_service: HttpService, port: int) -> None:
        head, _, got = (await say(port, request_)).partition(b"\r\n\r\n")
        assert head.split(b" ")[1] == status
        assert got == body
        assert b"\r\nconnection: close" in head.lower()
        length = 6 if request_.startswith(b"HEAD") else len(body)
        assert f"\r\ncontent-length: {length}\r\n".encode() in head

    errors = serve(talk)
    assert [str(error) for error in errors] == ["secret"] * (status == b"500")


def test_drip() -> None:
    """A client that does not end its request is closed in time."""

    async def talk(service: HttpService, port: int) -> None:
        assert await say(port, b"GET /readyz HTTP/1.1\r\nX: ") == b""
        assert not service.clients

    serve(talk, patience=0.05)


def test_drain() -> None:
    """The end waits until all clients have left."""

    async def talk(service: HttpService, port: int) -> None:
        silent = await asyncio.open_connection("127.0.0.1", port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: len(service.clients) == 2)
        drain = asyncio.create_task(service.drain())
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.read()).endswith(b"ready\n")
        assert not drain.done()
        for one in (silent[1], writer):
            one.close()
        await drain
        await service.drain()  # without clients there is nothing to wait for

    serve(talk)


def test_slow_reader() -> None:
    """A client that does not read its answer is closed in time, too."""

    async def talk(service: HttpService, port: int) -> None:
        loop, client = asyncio.get_running_loop(), socket.socket()
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: len(service.clients) == 1)
        await until(lambda: not service.clients)
        got = 0
        with contextlib.suppress(ConnectionResetError):
            while octets := await loop.sock_recv(client, 1_000_000):
                got += len(octets)
        assert got < len(BIG)
        client.close()

    serve(talk, patience=0.3)


def test_many_clients() -> None:
    """Clients beyond the limit are closed without an answer; the others get theirs."""

    async def talk(service: HttpService, port: int) -> None:
        waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await until(lambda: len(service.clients) == 3)
        assert await say(port, b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n") == b""
        for reader, writer in waiting:
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await reader.read()).endswith(b"ready\n")
            writer.close()

    serve(talk, most_clients=3)


@pytest.mark.parametrize(
    ("sent", "answered"), [(b"GET /slow HTTP/1.0\r\n\r\n", True), (b"GET /slow", False)]
)
def test_client_that_sends_no_more(sent: bytes, *, answered: bool) -> None:
    """A client that closes its half, such as `nc -N`, gets the answer to a whole request."""

    async def talk(service: HttpService, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        writer.write_eof()
        assert (await reader.read()).endswith(b"ready\n") == answered
        await until(lambda: not service.clients)
        writer.close()

    assert serve(talk) == []
