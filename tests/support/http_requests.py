"""One HTTP request over a socket, as it is."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NamedTuple

from support.thread import PATIENCE


class Answer(NamedTuple):
    status: int
    header: str
    body: str


def ask(place: int | Path, path: str, method: str = "GET", header: str = "") -> Answer:
    """Ask at a port of this machine, or at a Unix socket, and return all of the answer."""
    if isinstance(place, int):
        connected = socket.create_connection(("127.0.0.1", place), PATIENCE)
    else:
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(PATIENCE)
        connected.connect(str(place))
    with connected:
        connected.sendall(f"{method} {path} HTTP/1.1\r\nHost: a\r\n{header}\r\n".encode())
        with connected.makefile("rb") as file:
            head, _, body = file.read().decode().partition("\r\n\r\n")
    return Answer(int(head.split(" ")[1]), head, body)


def numbers(text: str) -> dict[str, float]:
    """Return the numbers of a text of metrics by their series, as they are written."""
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {series: float(number) for series, _, number in lines}
