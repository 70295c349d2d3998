"""Listening sockets that the service manager has opened: sd_listen_fds(3).

A manager that holds them keeps new connections waiting while the server restarts, and refuses none.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, TypeAlias

from restante.net.addresses import format_host_port

if TYPE_CHECKING:
    from collections.abc import Collection, MutableMapping

FIRST_DESCRIPTOR = 3

SocketName: TypeAlias = tuple[str, int] | str
"""A host and a port, or the file of a Unix socket."""


class ActivatedSockets:
    """The sockets that this process got, each until it is taken for an address."""

    def __init__(self, variables: MutableMapping[str, str]) -> None:
        """Read the variables of sd_listen_fds(3), and remove them: they are for this process."""
        count = variables.pop("LISTEN_FDS", "")
        ours = variables.pop("LISTEN_PID", "") == str(os.getpid())
        variables.pop("LISTEN_FDNAMES", None)
        self._sockets: list[socket.socket] = []
        if ours and count.isdecimal():
            for descriptor in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count)):
                one = socket.socket(fileno=descriptor)
                one.set_inheritable(False)
                self._sockets.append(one)

    def take(self, names: Collection[SocketName]) -> list[socket.socket]:
        """Return the sockets that listen at one of these names. The caller closes them."""
        fitting = [one for one in self._sockets if not _names(one).isdisjoint(names)]
        self._sockets = [one for one in self._sockets if one not in fitting]
        for one in fitting:
            one.settimeout(0)
        return fitting

    def find_unused(self, port: int) -> list[str]:
        """Return the names of the sockets at a port that nothing took, such as "0.0.0.0:110"."""
        names = [one.getsockname() for one in self._sockets]
        return [_describe(name) for name in names if isinstance(name, tuple) and name[1] == port]

    def close(self) -> list[str]:
        """Close the sockets that nothing took, and return their names, such as "127.0.0.1:110"."""
        unused = [_describe(one.getsockname()) for one in self._sockets]
        for one in self._sockets:
            one.close()
        self._sockets = []
        return unused


def _describe(name: tuple[str, int] | str) -> str:
    return format_host_port(*name[:2]) if isinstance(name, tuple) else str(name)


def _names(one: socket.socket) -> set[SocketName]:
    """Return the names that a socket stands for; that of all IPv6 may serve all IPv4, too."""
    name = one.getsockname()
    if one.family == socket.AF_UNIX:
        return {name}
    host, port = name[:2]
    names: set[SocketName] = {(host, port)}
    if host == "::" and not one.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        names.add(("0.0.0.0", port))  # noqa: S104  # it is compared, and not bound
    return names
