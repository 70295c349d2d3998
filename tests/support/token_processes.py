"""Processes that refresh the tokens of an account, to be killed or to race. `python -m` runs it.

kills FOLDER INTROSPECTION   kill at each call, and check each time that the account still works
race FOLDER COUNT            let COUNT processes ask for a token at once, and print what they got

It has one thread, so that it can fork: a child begins with everything imported.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

from restante.oauth import issuer_requests
from restante.oauth.token_source import StoredTokenSource
from restante.oauth.token_store import TokenStore
from support.killed_child import fork, killed_at_each_call

NAME = "ann@example.com"
CALLS: list[tuple[Any, str]] = [
    (os, "open"), (os, "fsync"), (os, "rename"), (os, "unlink"), (os, "close"),
    (fcntl, "flock"),
    (socket.socket, "connect"), (socket.socket, "send"), (socket.socket, "sendall"),
    (socket.socket, "recv"), (socket.socket, "recv_into"), (socket.socket, "close"),
]  # fmt: skip
NEARLY_OVER = 3500  # seconds later, an access token of an hour is due, and its successor is not
OVER = 3700  # seconds later, both are due


def source(folder: Path, later: int) -> StoredTokenSource:
    """Return the source of an account whose clock is some seconds ahead."""
    store = TokenStore(folder, keyring=False)
    return StoredTokenSource(NAME, store, clock=lambda: time.time() + later)


def use(introspection: str, token: str) -> None:
    """Show a token to the issuer, as the mail server does."""
    issuer_requests.post_form(introspection, {"token": token})


def kills(folder: Path, introspection: str) -> None:
    def work() -> None:
        use(introspection, source(folder, OVER).token())

    killed = -1  # the last child comes to its end
    for _ in killed_at_each_call(work, CALLS, after=True):
        killed += 1
        for _ in range(2):  # the second refresh shows what the first one kept
            use(introspection, source(folder, OVER).token())
    sys.stdout.write(str(killed))


def race(folder: Path, count: int) -> None:
    readers = []
    for _ in range(count):
        reader, writer = os.pipe()

        def work(writer: int = writer) -> None:
            os.write(writer, source(folder, NEARLY_OVER).token().encode())

        readers.append((reader, fork(work)))
        os.close(writer)
    for reader, child in readers:
        with open(reader, "rb") as pipe:
            sys.stdout.write(f"{pipe.read().decode()}\n")
        _, status = os.waitpid(child, 0)
        assert status == 0


if __name__ == "__main__":
    kind, place, last = sys.argv[1:]
    if kind == "kills":
        kills(Path(place), last)
    else:
        race(Path(place), int(last))
