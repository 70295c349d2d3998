"""Listening at a port: what it says by itself, and what it answers to TLS.

`seconds` limit all waits of a function together.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time

from restante.client.other_protocols import describe_server, protocol_of
from restante.net.connecting import seconds_until
from restante.protocol.errors import MalformedReplyError, Phase

GREETING = 0.7  # seconds in which most servers have sent a greeting
LONGEST_BANNER = 512  # octets that tell which protocol it is
_OLD_VERSIONS = {b"\x03\x00": "SSLv3", b"\x03\x01": "TLSv1", b"\x03\x02": "TLSv1.1"}
_RECORD = (b"\x16\x03", b"\x15\x03")  # TLS: a handshake, an alert


def read_banner(address: str, port: int, seconds: float) -> bytes:
    """Return what a port says by itself, b"" when it says nothing."""
    ends = time.monotonic() + seconds
    try:
        with socket.create_connection((address, port), seconds_until(ends)) as sock:
            return _read_line(sock, ends)
    except OSError:
        return b""


def identify(
    address: str, port: int, seconds: float, *, within_tls: bool = False
) -> MalformedReplyError | None:
    """Return the error of a port that awaits TLS or a request, None if it is neither.

    With `within_tls`, the session that got no greeting has TLS.
    """
    ends = time.monotonic() + seconds
    answer = b"" if within_tls else probe_tls(address, port, seconds)
    if within_tls or kind_of(answer) == "TLS":
        inner = probe_within_tls(address, port, ends - time.monotonic())
        if is_another(kind_of(inner)):
            answer = inner
    kind = kind_of(answer)
    if kind == "TLS":
        text = f"port {port} uses TLS from the first octet"
        return MalformedReplyError("tls-on-plain", text, phase=Phase.GREETING)
    if is_another(kind):
        return MalformedReplyError("wrong-protocol", describe_server(answer), phase=Phase.GREETING)
    return None


def probe_tls(address: str, port: int, seconds: float) -> bytes:
    """Return the first octets that a port answers to a ClientHello."""
    import ssl

    from restante.client.tls import unverified_context

    hello = ssl.MemoryBIO()
    tls = unverified_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    ends = time.monotonic() + seconds
    try:
        with socket.create_connection((address, port), seconds_until(ends)) as sock:
            sock.sendall(hello.read())
            return _read_line(sock, ends)
    except OSError:
        return b""


def probe_within_tls(address: str, port: int, seconds: float) -> bytes:
    """Return the first octets that a port answers to a line within TLS."""
    from restante.client.tls import unverified_context

    ends = time.monotonic() + seconds
    try:
        with socket.create_connection((address, port), seconds_until(ends)) as sock:
            sock.settimeout(seconds_until(ends))
            with unverified_context().wrap_socket(sock, server_hostname="localhost") as tls:
                tls.sendall(b"QUIT\r\n")
                return _read_line(tls, ends)
    except OSError:
        return b""


def old_version(address: str, port: int, seconds: float) -> str:
    """Return the version before TLS 1.2 that a port speaks, "" for none.

    The ClientHello is written by hand: many builds of OpenSSL support none of these versions.
    """
    from restante.client.tls import hello_version

    ends = time.monotonic() + seconds
    try:
        with socket.create_connection((address, port), seconds_until(ends)) as sock:
            sock.sendall(_legacy_client_hello())
            answer = _read_line(sock, ends)
    except OSError:
        return ""
    return _OLD_VERSIONS.get(hello_version(answer), "")


def _legacy_client_hello() -> bytes:
    """Return a ClientHello of TLS 1.1. RFC 4346 section 7.4.1.2."""
    ciphers = bytes.fromhex("c013c014c009c00a002f003500330039000a")
    extensions = bytes.fromhex("000a00080006001d00170018000b00020100")  # curves and their form
    body = b"\x03\x02" + os.urandom(32) + b"\0"
    body += len(ciphers).to_bytes(2) + ciphers + b"\1\0"
    body += len(extensions).to_bytes(2) + extensions
    hello = b"\1" + len(body).to_bytes(3) + body
    return b"\x16\x03\x01" + len(hello).to_bytes(2) + hello


def identify_protocol(address: str, port: int, seconds: float) -> str:
    """Return what a port speaks: "TLS", "POP3", "SMTP", ..., "unknown", or "" when it is silent.

    It is awaited for GREETING seconds at most, and asked for `seconds` more.
    """
    banner = read_banner(address, port, min(seconds, GREETING))
    return kind_of(banner or probe_tls(address, port, seconds))


def kind_of(octets: bytes) -> str:
    """Return which protocol a port speaks that begins so, "" for no octets."""
    if not octets:
        return ""
    if octets.startswith(_RECORD):
        return "TLS"
    if octets.upper().startswith((b"+OK", b"-ERR")):
        return "POP3"
    return protocol_of(octets)


def is_another(kind: str) -> bool:
    """Return whether a kind that `kind_of` returned is a known protocol other than POP3 and TLS."""
    return kind not in ("", "POP3", "TLS", "unknown")


def _read_line(sock: socket.socket, ends: float) -> bytes:
    """Return the first line that comes in time, or as much of it as does."""
    import ssl

    received = b""
    sock.settimeout(0)
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    with contextlib.suppress(OSError):
        while (
            len(received) < LONGEST_BANNER
            and b"\n" not in received
            and not received.startswith(_RECORD)
        ):
            if not poll.poll(seconds_until(ends) * 1000):
                break
            with contextlib.suppress(ssl.SSLWantReadError):  # it was TLS's own
                octets = sock.recv(LONGEST_BANNER)
                if not octets:
                    break
                received += octets
    return received
