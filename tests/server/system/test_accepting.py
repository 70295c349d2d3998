"""A socket that begins to accept connections belongs to a server, or is closed."""

from __future__ import annotations

import asyncio
import functools
import socket
from pathlib import Path

import pytest

from restante.server.system.accepting import accept_at, stop_accepting
from support.cancelling import cancelled_everywhere, sockets


def opened(kind: str, folder: Path) -> socket.socket:
    if kind == "tcp":
        return socket.create_server(("127.0.0.1", 0))
    one = socket.socket(socket.AF_UNIX)
    (folder / "socket").unlink(missing_ok=True)
    one.bind(str(folder / "socket"))
    return one


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_cancelled(kind: str, tmp_path: Path) -> None:
    """A task that is cancelled leaves no open socket."""

    async def accept() -> None:
        (await accept_at(asyncio.Protocol, opened(kind, tmp_path), 10)).close()

    async def scenario() -> None:
        before = sockets()
        async for run in cancelled_everywhere(accept):
            assert sockets() == before, run

    asyncio.run(scenario())


def test_file_stays(tmp_path: Path) -> None:
    """The file of a Unix socket stays when its server closes."""

    async def accept() -> None:
        (await accept_at(asyncio.Protocol, opened("unix", tmp_path), 10)).close()

    asyncio.run(accept())
    assert (tmp_path / "socket").exists()


class Announced(asyncio.Protocol):
    """Notes that the event loop announced the connection."""

    def __init__(self, announced: asyncio.Event) -> None:
        self._announced = announced

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._announced.set()


async def is_open(client: socket.socket) -> bool:
    """Return whether the peer of a client that was sent nothing still has its connection."""
    try:
        await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 1), 0.05)
    except TimeoutError:
        return True
    except ConnectionResetError:
        return False
    return False


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize("turns", range(5))
def test_stop(kind: str, turns: int, tmp_path: Path) -> None:
    """Each client that was accepted before the stop is announced; no other socket stays open."""

    async def scenario() -> None:
        loop, announced = asyncio.get_running_loop(), asyncio.Event()
        listening = opened(kind, tmp_path)
        server = await accept_at(functools.partial(Announced, announced), listening, 10)
        with socket.socket(listening.family) as client:
            client.setblocking(False)
            await loop.sock_connect(client, listening.getsockname())
            for _ in range(turns):
                await asyncio.sleep(0)
            await stop_accepting([server])
            assert await is_open(client) == announced.is_set()

    asyncio.run(scenario())
