"""The port of the page: a socket that is opened first, so that its errors are ours, and uvicorn."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    import uvicorn

    from restante.developer.server import DeveloperServer
    from restante.server.config.addresses import ListenAddress
    from restante.web.page import ServerAddresses
    from restante.web.security import Guard

BACKLOG = 128  # connections that the kernel holds until they are accepted
MAX_REQUESTS = 200  # at once, readers of events counted; more get 503
MAX_OF_A_CLIENT = 16 * 1024  # octets of a message in a websocket, which is not read
STOP_PATIENCE = 1  # seconds for answers under way, when the page stops


def open_port(address: ListenAddress) -> socket.socket:
    """Return a listening socket. Raises OSError."""
    return socket.create_server(
        (address.host, address.port),
        family=socket.AF_INET6 if ":" in address.host else socket.AF_INET,
        backlog=BACKLOG,
    )


def create_server(
    server: DeveloperServer, addresses: ServerAddresses, guard: Guard
) -> uvicorn.Server:
    """Return a server of the page; `run(sockets=...)` serves until Ctrl-C or SIGTERM."""
    import uvicorn

    from restante.web.app import create_app

    config = uvicorn.Config(
        create_app(server, addresses, guard),
        loop="asyncio",
        http="h11",
        ws=cast("type[asyncio.Protocol]", _open_websocket),
        ws_max_size=MAX_OF_A_CLIENT,
        lifespan="off",
        log_config=None,
        log_level="error",  # no line for a client that sends no HTTP: it gets 400
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_REQUESTS,
        timeout_graceful_shutdown=STOP_PATIENCE,
    )
    return uvicorn.Server(config)


def _open_websocket(*parts: Any, **more: Any) -> asyncio.Protocol:
    """Return the protocol of a websocket, which is loaded when the first one is opened."""
    from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

    return WSProtocol(*parts, **more)


@contextlib.contextmanager
def serving(
    server: DeveloperServer, addresses: ServerAddresses, guard: Guard, opened: socket.socket
) -> Iterator[None]:
    """Serve the page in a thread while the block runs; then end the streams of events."""
    page = create_server(server, addresses, guard)
    thread = threading.Thread(target=page.run, kwargs={"sockets": [opened]}, name="restante.web")
    thread.start()
    try:
        yield
    finally:
        server.feed.publish("stopped")
        page.should_exit = True
        thread.join()
