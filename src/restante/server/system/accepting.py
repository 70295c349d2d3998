"""Begins and ends to accept connections at a listening socket, and leaves nothing open.

asyncio's own calls wait for a moment after the socket was given to the event loop. A task that is
cancelled there has no server that it could close. A connection that asyncio accepted right before
its server was closed stays open for ever, and nothing reads from it.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

ANNOUNCE_TURNS = 3  # turns of asyncio's loop from an accepted socket to `connection_made`


class AcceptsConnections(Protocol):
    """A server of asyncio, or one that has such a server."""

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The sockets at which it accepts connections."""

    def close(self) -> None:
        """Close the sockets."""


async def accept_at(
    connect: Callable[[], asyncio.Protocol],
    opened: socket.socket,
    backlog: int,
    context: ssl.SSLContext | None = None,
) -> asyncio.Server:
    """Accept connections at a TCP or Unix socket, and return the server that owns it.

    `connect` makes the protocol of each. With `context` they use TLS. If this is cancelled, the
    socket is closed. The file of a Unix socket stays.
    """
    loop = asyncio.get_running_loop()
    options: dict[str, Any] = {"sock": opened, "backlog": backlog, "start_serving": False}
    if opened.family == socket.AF_UNIX:
        if sys.version_info >= (3, 13):
            options["cleanup_socket"] = False
        server = await loop.create_unix_server(connect, **options)
    else:
        server = await loop.create_server(connect, ssl=context, **options)
    try:
        await server.start_serving()
    except BaseException:
        server.close()
        raise
    return server


async def stop_accepting(servers: Sequence[AcceptsConnections]) -> None:
    """Close these servers once each connection that they accepted is announced.

    A cancellation waits for that, too.
    """
    loop = asyncio.get_running_loop()
    cancelled: asyncio.CancelledError | None = None
    for server in servers:
        for one in server.sockets:
            loop.remove_reader(one.fileno())
    for _ in range(ANNOUNCE_TURNS):
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            cancelled = error
    for server in servers:
        server.close()
    if cancelled is not None:
        raise cancelled
