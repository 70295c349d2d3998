"""Open sockets: from an address to connections, and to their end."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.server.connection import PLAIN, Connection

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterable

    from restante.server.address import Address
    from restante.server.service import Service
    from restante.server.wire import Endpoint

BACKLOG = 1024  # connections that the kernel holds until they are accepted
STOP_PATIENCE = 10  # seconds


@dataclass(frozen=True, slots=True)
class Listen:
    """An address, and what those find who connect to it."""

    address: Address
    endpoint: Endpoint = PLAIN


class ListenError(Exception):
    """The server cannot listen at an address; the text says why."""


@contextlib.asynccontextmanager
async def listening(
    service: Service, addresses: Iterable[Listen], stop_patience: float = STOP_PATIENCE
) -> AsyncIterator[list[socket.socket]]:
    """Serve at these addresses while the block runs, which gets the sockets; then stop gracefully.

    Raises ListenError.
    """
    servers: list[asyncio.Server] = []
    try:
        for address in addresses:
            server = await _listen(service, address)
            servers.append(server)
        yield [socket for server in servers for socket in server.sockets]
    finally:
        for server in servers:
            server.close()
        await service.stop(stop_patience)


async def _listen(service: Service, listen: Listen) -> asyncio.Server:
    address = listen.address
    try:
        return await asyncio.get_running_loop().create_server(
            lambda: Connection(service, listen.endpoint),
            address.host or None,
            address.port,
            backlog=BACKLOG,
        )
    except OSError as error:
        hint = ""
        if isinstance(error, PermissionError):
            hint = "; ports below 1024 want root or CAP_NET_BIND_SERVICE"
        raise ListenError(f"cannot listen at {address}: {error.strerror}{hint}") from error
