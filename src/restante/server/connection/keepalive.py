"""TCP keepalive: the kernel finds peers that are gone without closing their connection."""

from __future__ import annotations

import contextlib
import os
import socket
import struct

KEEP_IDLE = 60  # seconds without an octet, after which the kernel probes the peer
KEEP_INTERVAL = 15  # seconds between two probes
KEEP_COUNT = 4  # probes without an answer, after which the kernel closes the connection
DEAD_AFTER = KEEP_IDLE + KEEP_COUNT * KEEP_INTERVAL  # seconds
LONGEST_SILENCE = DEAD_AFTER + 10  # seconds: a peer without room is probed every two minutes

_LAST_ACK = 56  # place of tcpi_last_ack_recv in struct tcp_info


def keep_alive(sock: socket.socket) -> None:
    """Let the kernel find within two minutes that a peer is gone.

    Connections inherit it from the listening socket. TCP_USER_TIMEOUT is for replies that the peer
    does not confirm: for these, the kernel sends no keepalive.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))  # or macOS's
    for option, value in (
        (idle, KEEP_IDLE),
        (getattr(socket, "TCP_KEEPINTVL", None), KEEP_INTERVAL),
        (getattr(socket, "TCP_KEEPCNT", None), KEEP_COUNT),
        (getattr(socket, "TCP_USER_TIMEOUT", None), DEAD_AFTER * 1000),
    ):
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def set_user_timeout(file: int, seconds: float) -> None:
    """Limit the seconds for which a peer may confirm nothing or have no room. Linux only."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is None:
        return
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(file)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))


def has_vanished(file: int) -> bool:
    """Return whether a peer has not answered the probes of the kernel. Linux only.

    A peer without room for more octets answers a probe.
    """
    info = getattr(socket, "TCP_INFO", None)
    if info is None:
        return False
    with contextlib.suppress(OSError, struct.error), socket.socket(fileno=os.dup(file)) as sock:
        tcp_info = sock.getsockopt(socket.IPPROTO_TCP, info, 128)
        milliseconds: int = struct.unpack_from("=I", tcp_info, _LAST_ACK)[0]
        return milliseconds > LONGEST_SILENCE * 1000
    return False
