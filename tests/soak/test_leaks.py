"""Nothing of a connection stays when it is over, however it ended."""

from __future__ import annotations

import gc
import socket
import ssl
from types import GeneratorType

from restante import testing
from restante.protocol.server.serve import serve
from restante.server.connection.connection import Connection
from restante.server.tls.layer import ServerTlsLayer
from support.live import Client, Live, serving, wait_until

BIG = b"Subject: a\n\n" + b"x" * 400_000
ROUNDS = 20


def test_no_connection_and_no_session_outlives_its_end() -> None:
    """No connection or session object remains after its end."""
    others = _left()  # of other tests, which may hold them for their own ends
    with serving() as live:
        live.add("ann", "secret", BIG, BIG)
        for _ in range(ROUNDS):
            for end in (_quit, _hang_up, _reset, _half_close, _babble):
                end(live)
                wait_until(lambda: not live.context.connections)
        known = {id(held) for held in others}
        wait_until(lambda: not [held for held in _left() if id(held) not in known])


def _left() -> list[object]:
    """Return the connections and conversations that are still held by something."""
    gc.collect()
    return [held for held in gc.get_objects() if type(held) is Connection or _is_session(held)]


def _is_session(held: object) -> bool:
    return type(held) is GeneratorType and held.gi_code is serve.__code__


def _in_midst(live: Live) -> Client:
    """Return a client to which a long message is on its way."""
    client = live.connect()
    client.log_in("ann", "secret")
    client.send(b"DELE 2\r\n" + b"RETR 1\r\n" * 3)
    client.read_line()
    return client


def _quit(live: Live) -> None:
    with live.connect() as client:
        client.log_in("ann", "secret")
        client.say("QUIT")
        client.read_all()


def _hang_up(live: Live) -> None:
    _in_midst(live).close()


def _reset(live: Live) -> None:
    _in_midst(live).reset()


def _half_close(live: Live) -> None:
    with _in_midst(live) as client:
        client.socket.shutdown(socket.SHUT_WR)
        client.read_all()


def _babble(live: Live) -> None:
    with live.connect() as client:
        client.send(b"\xff\r\n" * 20)
        client.read_all()


def test_tls_is_freed_without_the_collector() -> None:
    """A connection frees OpenSSL's memory when it ends, and not when the collector comes."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    gc.collect()
    gc.disable()
    try:
        with testing.serving(tls=True) as server:
            server.add("ann", "secret", BIG)
            earlier = _tls_layers()  # of other tests; these may end meanwhile
            for command in (b"QUIT\r\n", b"NOOP\r\n", b"RETR 1\r\n"):
                _say_over_tls(server.port, context, command)
            wait_until(lambda: _tls_layers() <= earlier)
    finally:
        gc.enable()


def _tls_layers() -> set[ServerTlsLayer]:
    return {held for held in gc.get_objects() if type(held) is ServerTlsLayer}


def _say_over_tls(port: int, context: ssl.SSLContext, command: bytes) -> None:
    """Log in over TLS, send a command, read a little, and close."""
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.recv(1000)
        plain.sendall(b"STLS\r\n")
        plain.recv(1000)
        with context.wrap_socket(plain) as client:
            client.sendall(b"USER ann\r\nPASS secret\r\n" + command)
            client.recv(10)
