"""Peers that vanish without a word are noticed by the kernel."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest

from restante.server.connection.keepalive import DEAD_AFTER, has_vanished, set_user_timeout
from support.live import serving


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux only")
def test_accepted_sockets() -> None:
    """Each accepted connection is dropped two minutes after its peer's last sign of life."""
    with serving() as live, live.connect() as client:
        client.read_line()

        def options() -> list[int]:
            with _accepted_from(client.socket.getsockname()) as one:
                keep = one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                tcp = [one.getsockopt(socket.IPPROTO_TCP, name) for name in names]
                timeout = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                return [keep, *tcp, timeout]

        keep, idle, interval, count, timeout = options()
    assert keep
    assert idle + interval * count <= DEAD_AFTER == 120
    assert timeout == DEAD_AFTER * 1000


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux only")
def test_patience_with_a_reader() -> None:
    """The kernel gives a peer that reads slowly as much time as the server does."""
    with socket.socket() as sock:
        set_user_timeout(sock.fileno(), 600.5)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 600_500


def test_no_socket() -> None:
    """A connection without a socket has no limit of the kernel, and has not vanished."""
    set_user_timeout(-1, 600)
    assert not has_vanished(-1)


def _accepted_from(address: tuple[str, int]) -> socket.socket:
    """Return a copy of this process's socket whose peer has this address."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            one = socket.socket(fileno=os.dup(int(name)))
            with contextlib.suppress(OSError):
                if one.getpeername() == address:
                    return one
            one.close()
    raise AssertionError("no such connection")
