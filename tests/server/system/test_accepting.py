"""A socket that begins to accept connections belongs to a server, or is closed."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from restante.server.system.accepting import accept_at
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
