"""Peers that vanish without a word are noticed by the kernel."""

from __future__ import annotations

import os
import socket
from typing import cast

import pytest

from restante.server.connection.connection import Connection
from restante.server.connection.keepalive import VANISHED
from support.live import serving


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux only")
def test_accepted_sockets() -> None:
    """Each accepted connection is dropped two minutes after its peer's last sign of life."""
    with serving() as live, live.connect() as client:
        client.read_line()

        async def options() -> list[int]:
            (connection,) = live.service.connections
            with socket.socket(fileno=os.dup(cast(Connection, connection)._wire.file)) as one:
                keep = one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                tcp = [one.getsockopt(socket.IPPROTO_TCP, name) for name in names]
                timeout = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                return [keep, *tcp, timeout]

        keep, idle, interval, count, timeout = live.call(options())
    assert keep
    assert idle + interval * count <= VANISHED == 120
    assert timeout == VANISHED * 1000
