"""Memory of a connection with TLS beyond OpenSSL's own, and of a message of any size."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import servers
from place import OURS

from mail import PASSWORD
from support.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from place import Place
    from servers import Running

CONNECTIONS = 2000
MESSAGE = 250_000_000  # octets


def encrypted(place: Place) -> None:
    """Measure 2000 silent connections with TLS, here and on a server that does nothing but TLS."""
    connections = place.many(CONNECTIONS)
    with place.mail("encrypted") as folder:
        with place.serving(OURS, folder, users=connections, messages=1, octets=700) as server:
            whole = _cost(server, server.tls_port, connections, log_in=True)
        with _bare(place, folder) as server:
            bare = _cost(server, server.port, connections, log_in=False)
    place.figures.note("idle TLS, whole", OURS, whole)
    place.figures.note("idle TLS, whole", "OpenSSL alone", bare)
    place.figures.note("idle TLS", OURS, whole - bare)


@contextlib.contextmanager
def _bare(place: Place, folder: Path) -> Iterator[Running]:
    port, home = free_port(), folder / "bare"
    home.mkdir()
    servers.certified(home)
    program = Path(__file__).parent / "bare_tls.py"
    command = [sys.executable, str(program), str(port), str(home)]
    with servers.running(command, home, port, {place.server_core}) as process:
        yield servers.Running("OpenSSL alone", port, process.pid)


def _cost(server: Running, port: int, connections: int, *, log_in: bool) -> float:
    """Return the KiB of the server's memory for each of this many connections."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.ExitStack() as stack:
        stack.enter_context(_client(port, context, "u0", log_in=log_in))
        time.sleep(0.5)
        before = server.memory()
        for number in range(1, connections):
            stack.enter_context(_client(port, context, f"u{number}", log_in=log_in))
        time.sleep(0.5)
        return (server.memory() - before) / (connections - 1) / 1024


def _client(port: int, context: ssl.SSLContext, user: str, *, log_in: bool) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), 30)
    client = context.wrap_socket(plain, server_hostname="localhost")
    client.recv(4096)
    for command in (f"USER {user}\r\n", f"PASS {PASSWORD}\r\n") if log_in else ():
        client.sendall(command.encode())
        if not client.recv(4096).startswith(b"+OK"):
            raise RuntimeError(f"{command[:4]} was refused")
    return client


def bounded(place: Place) -> None:
    """Measure how far a message of 250 MB, not read for a second, makes the server grow at most."""
    with place.mail("bounded") as folder:
        octets = place.many(MESSAGE)
        with place.serving(OURS, folder, users=1, messages=1, octets=octets) as server:
            place.load(server, "login", users=1, sessions=1, seconds=30)
            before = _peak(server, forget=True)
            _fetch_slowly(server)
            place.figures.note("RETR memory", OURS, (_peak(server) - before) / 2**20)


def _peak(server: Running, *, forget: bool = False) -> int:
    """Return the most octets that the server held since the peak was reset."""
    if forget:
        Path(f"/proc/{server.pid}/clear_refs").write_text("5")
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _fetch_slowly(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 30) as client:
        for command in ("", "USER u0\r\n", f"PASS {PASSWORD}\r\n"):
            client.sendall(command.encode())
            client.recv(4096)
        client.sendall(b"RETR 1\r\nQUIT\r\n")
        time.sleep(1)
        while client.recv(1 << 20):
            pass
