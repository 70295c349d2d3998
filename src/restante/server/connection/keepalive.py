"""TCP keepalive: the kernel finds peers that vanish without a word."""

from __future__ import annotations

import contextlib
import os
import socket
import struct

KEEP_IDLE = 60  # seconds without an octet, before the kernel asks for a sign of life
KEEP_INTERVAL = 15  # seconds between two of these
KEEP_COUNT = 4  # of them, without an answer
VANISHED = KEEP_IDLE + KEEP_COUNT * KEEP_INTERVAL  # seconds
LATEST_SIGN = VANISHED + 10  # seconds: the kernel asks a peer that has no room every two minutes

_LAST_ACK = 56  # place of tcpi_last_ack_recv in struct tcp_info


def keep_alive(one: socket.socket) -> None:
    """Have the kernel notice, within two minutes, that a peer has vanished without a word.

    Connections inherit it from the listening socket. TCP_USER_TIMEOUT is for replies that the peer
    does not confirm, during which the kernel sends no keepalive.
    """
    one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))  # or macOS's
    for option, value in (
        (idle, KEEP_IDLE),
        (getattr(socket, "TCP_KEEPINTVL", None), KEEP_INTERVAL),
        (getattr(socket, "TCP_KEEPCNT", None), KEEP_COUNT),
        (getattr(socket, "TCP_USER_TIMEOUT", None), VANISHED * 1000),
    ):
        if option is not None:
            one.setsockopt(socket.IPPROTO_TCP, option, value)


def set_user_timeout(file: int, seconds: float) -> None:
    """Limit the seconds for which a peer may confirm nothing or have no room. Linux only."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is None or file < 0:
        return
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(file)) as one:
        one.setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))


def has_vanished(file: int) -> bool:
    """Return whether the kernel has heard nothing of a peer that should have answered; Linux only.

    A peer without room says so when it is asked; one that has vanished says nothing.
    """
    info = getattr(socket, "TCP_INFO", None)
    if info is None or file < 0:
        return False
    with contextlib.suppress(OSError, struct.error), socket.socket(fileno=os.dup(file)) as one:
        tcp_info = one.getsockopt(socket.IPPROTO_TCP, info, 128)
        milliseconds: int = struct.unpack_from("=I", tcp_info, _LAST_ACK)[0]
        return milliseconds > LATEST_SIGN * 1000
    return False
