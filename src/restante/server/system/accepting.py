"""Begins to accept connections at a listening socket, so that a cancellation leaves nothing open.

asyncio's own calls wait for a moment after the socket was given to the event loop. A task that is
cancelled there has no server that it could close.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable


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
