"""Listening at a port: what it says by itself, and what it answers to TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

from restante.client.session import protocol_of
from restante.client.tls import unverified

GREETING = 0.7  # seconds in which most servers have said who they are
ENOUGH = 512  # octets that tell which protocol it is
_RECORD = (b"\x16\x03", b"\x15\x03")  # TLS: a handshake, an alert


def says(address: str, port: int, seconds: float) -> bytes:
    """Return what a port says by itself, b"" when it says nothing."""
    try:
        with socket.create_connection((address, port), seconds) as sock:
            return _line(sock, seconds)
    except OSError:
        return b""


def answers_tls(address: str, port: int, seconds: float) -> bytes:
    """Return the first octets that a port answers to the opening of TLS."""
    opening = ssl.MemoryBIO()
    tls = unverified().wrap_bio(ssl.MemoryBIO(), opening, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    try:
        with socket.create_connection((address, port), seconds) as sock:
            sock.sendall(opening.read())
            return _line(sock, seconds)
    except OSError:
        return b""


def kind(address: str, port: int, seconds: float) -> str:
    """Return what a port speaks: "TLS", "POP3", "SMTP", ..., "unknown", or "" when it is silent."""
    said = says(address, port, min(seconds, GREETING))
    if said:
        return kind_of(said)
    answer = answers_tls(address, port, seconds)
    return kind_of(answer) if answer else ""


def kind_of(octets: bytes) -> str:
    """Return which protocol a port speaks that begins so."""
    if octets.startswith(_RECORD):
        return "TLS"
    if octets.upper().startswith((b"+OK", b"-ERR")):
        return "POP3"
    return protocol_of(octets)


def _line(sock: socket.socket, seconds: float) -> bytes:
    """Return the first line that comes in time, or as much of it as does."""
    heard = b""
    until = time.monotonic() + seconds
    with contextlib.suppress(OSError):
        while len(heard) < ENOUGH and b"\n" not in heard and not heard.startswith(_RECORD):
            sock.settimeout(max(0.01, until - time.monotonic()))
            octets = sock.recv(ENOUGH)
            if not octets:
                break
            heard += octets
    return heard
