"""Open sockets: from an address to connections, and to their end."""

from __future__ import annotations

import contextlib
import errno
import functools
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from restante.server.config.addresses import ListenAddress
from restante.server.connection.connection import Connection
from restante.server.connection.keepalive import keep_alive
from restante.server.connection.transport import PLAIN
from restante.server.system.accepting import accept_at, stop_accepting
from restante.server.system.process import spare_files
from restante.system_errors import explain

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

    from restante.server.connection.transport import ListenerPolicy
    from restante.server.context import ServerContext
    from restante.server.system.activation import ActivatedSockets

ConnectionFactory: TypeAlias = "Callable[[ServerContext, ListenerPolicy], Connection]"

BACKLOG = 1024  # connections that the kernel holds until they are accepted
STOP_PATIENCE = 10  # seconds


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """An address, the policy of its connections, and their class."""

    address: ListenAddress
    policy: ListenerPolicy = PLAIN
    connection: ConnectionFactory = Connection


class ListenError(Exception):
    """The server cannot listen at an address; the text says why."""


@contextlib.asynccontextmanager
async def serve_listeners(
    context: ServerContext,
    addresses: Iterable[ListenConfig],
    stop_patience: float = STOP_PATIENCE,
    activated: ActivatedSockets | None = None,
) -> AsyncIterator[list[socket.socket]]:
    """Serve at these addresses while the block runs, which gets the sockets; then stop gracefully.

    `activated` has sockets that are open already. Raises ListenError.
    """
    try:
        async with accept_connections(context, _open_each(addresses, activated)) as sockets:
            yield sockets
    finally:
        await context.connections.stop(stop_patience)


@contextlib.asynccontextmanager
async def accept_connections(
    context: ServerContext, opened: Iterable[tuple[ListenConfig, Sequence[socket.socket]]]
) -> AsyncIterator[list[socket.socket]]:
    """Accept connections at these sockets while the block runs. Their sessions continue after it.

    `opened` has the sockets of each address; they are closed. Raises ListenError.
    """
    servers: list[asyncio.Server] = []
    all_sockets: list[socket.socket] = []
    try:
        for listen, sockets in opened:
            all_sockets += sockets
            for one in sockets:
                serve = functools.partial(listen.connection, context, listen.policy)
                servers.append(await accept_at(serve, one, backlog()))
                service = "pop3s" if listen.policy.implicit_tls else "pop3"
                context.listening.append((service, servers[-1]))
        yield [socket for server in servers for socket in server.sockets]
    finally:
        try:
            await stop_accepting(servers)
        finally:
            for one in all_sockets:  # a start that was cancelled has left some without a server
                one.close()


def backlog() -> int:
    """Return how many connections the kernel may hold until they are accepted.

    All of them are accepted at once. Where files are few, no more than those that are to spare:
    else the last ones would be closed without a word.
    """
    return max(1, min(BACKLOG, spare_files() // 2))


def _open_each(
    addresses: Iterable[ListenConfig], activated: ActivatedSockets | None
) -> Iterator[tuple[ListenConfig, Sequence[socket.socket]]]:
    for listen in addresses:
        yield listen, open_sockets(listen.address, activated)


def close_sockets(sockets: Mapping[ListenAddress, Sequence[socket.socket]]) -> None:
    """Close the sockets of these addresses."""
    for several in sockets.values():
        for one in several:
            one.close()


def open_sockets(
    address: ListenAddress, activated: ActivatedSockets | None = None
) -> list[socket.socket]:
    """Return a listening socket for each address that the host's name stands for.

    If the service manager opened some of them, these are all. Raises ListenError.
    """
    opened: list[socket.socket] = []
    try:
        results = socket.getaddrinfo(
            address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        names = dict.fromkeys((result[0], result[4]) for result in results)
        if activated is not None:
            opened += activated.take([(str(name[0]), int(name[1])) for _, name in names])
        for one in opened:
            keep_alive(one)
        if not opened:
            for family, name in names:
                opened += _open_socket(family, name)
    except UnicodeError as error:  # a label between two dots is empty or too long
        text = f"cannot listen at {address}: no host can have this name; check it"
        raise ListenError(text) from error
    except OSError as error:
        for one in opened:
            one.close()
        reason = _explain_held(error, address, activated) or explain_listening(error, address)
        raise ListenError(f"cannot listen at {address}: {reason}") from error
    if not opened:
        raise ListenError(f"cannot listen at {address}: this address family is not supported here")
    return opened


def listen_addresses(texts: Iterable[str]) -> list[ListenAddress]:
    """Return the addresses of a setting, without [::1] on a machine that has no IPv6.

    The default has it, and no client could connect to it. It stays if there is no other address,
    and is an error then.
    """
    addresses = [ListenAddress.parse(text) for text in texts]
    others = [address for address in addresses if address.host != "::1"]
    return addresses if not others or _has_ipv6() else others


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        return error.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
    return True


def explain_listening(error: OSError | LookupError, place: object) -> str:
    """Return why nothing can listen at a port, or at a file of a Unix socket, and what to do."""
    if isinstance(error, PermissionError) and not isinstance(place, Path):
        return f"{error.strerror}; ports below 1024 require root or CAP_NET_BIND_SERVICE"
    if isinstance(error, socket.gaierror):
        return f"{error.strerror}; check the name of the host"
    return explain(error) if isinstance(error, OSError) else str(error)


def _explain_held(
    error: OSError, address: ListenAddress, activated: ActivatedSockets | None
) -> str:
    """Return the error and what to do if the service manager holds the port, else nothing."""
    held = activated.find_unused(address.port) if activated is not None else []
    if not held or error.errno != errno.EADDRINUSE:
        return ""
    return (
        f"{error.strerror}; the service manager listens at {', '.join(held)}, which the "
        "configuration does not name: use the same addresses in both"
    )


def _open_socket(family: int, name: tuple[Any, ...]) -> list[socket.socket]:
    """Return a socket that listens; none for a kind of address that this machine does not have."""
    try:
        opened = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            return []
        raise
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        keep_alive(opened)
        opened.bind(name)
        opened.listen(backlog())
        opened.settimeout(0)
    except BaseException:
        opened.close()
        raise
    return [opened]
