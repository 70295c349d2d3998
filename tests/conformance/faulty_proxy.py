"""A proxy before a good server that makes one thing wrong."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias

Alter: TypeAlias = Callable[[str, bytes], bytes]
"""Gets the last command that came and octets on their way, and returns what goes on."""


class HangUp(OSError):  # noqa: N818  # what the server does, not an error
    """Passes on the last octets, and ends the connection."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets


def unchanged(_: str, octets: bytes) -> bytes:
    return octets


@contextlib.contextmanager
def faulty(port: int, answer: Alter = unchanged, ask: Alter = unchanged) -> Iterator[int]:
    """Run a proxy to a port while the block runs; give its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads: list[threading.Thread] = []

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                    server = socket.create_connection(("127.0.0.1", port), 20)
                except OSError:
                    return
                client.settimeout(20)
                said = [""]
                for pump in (
                    threading.Thread(target=_ask, args=(client, server, said, ask), daemon=True),
                    threading.Thread(
                        target=_answer, args=(server, client, said, answer), daemon=True
                    ),
                ):
                    threads.append(pump)
                    pump.start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        address = listener.getsockname()
        try:
            yield address[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(5)
            for thread in threads:
                thread.join(5)


def _ask(client: socket.socket, server: socket.socket, said: list[str], ask: Alter) -> None:
    """Pass on the lines of each read at once, so that pipelined commands have one answer."""
    with contextlib.suppress(OSError):
        rest = b""
        while octets := client.recv(1 << 20):
            *lines, rest = (rest + octets).split(b"\n")
            if lines:
                commands = [line.decode("latin-1").rstrip("\r") for line in lines]
                said[0] = commands[-1]
                server.sendall(
                    b"".join(
                        ask(command, line + b"\n")
                        for command, line in zip(commands, lines, strict=True)
                    )
                )
    with contextlib.suppress(OSError):
        server.shutdown(socket.SHUT_WR)


def _answer(server: socket.socket, client: socket.socket, said: list[str], answer: Alter) -> None:
    with contextlib.suppress(OSError), server, client:
        try:
            while octets := server.recv(1 << 20):
                client.sendall(answer(said[0], octets))
        except HangUp as last:
            client.sendall(last.octets)
        client.shutdown(socket.SHUT_RDWR)  # the other pump holds it open
