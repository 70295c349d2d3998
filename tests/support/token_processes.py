"""Processes that refresh the tokens of an account, to be killed or to race. `python -m` runs it.

kills FOLDER INTROSPECTION   kill at each call, and check each time that the account still works
race FOLDER COUNT            let COUNT processes ask for a token at once, and print what they got

It has one thread, so that it can fork: a child begins with everything imported.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from restante.oauth import issuer_requests
from restante.oauth.token_source import StoredTokenSource
from restante.oauth.token_store import TokenStore

NAME = "ann@example.com"
MOST_KILLS = 500
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


def kill_at(number: int) -> None:
    """Let the process kill itself before or after one of its calls: odd numbers are before."""
    count = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            step()
            result = call(*arguments, **options)
            step()
            return result

        return run

    def step() -> None:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    for owner, name in CALLS:
        setattr(owner, name, counted(getattr(owner, name)))


def fork(work: Callable[[], None]) -> int:
    """Run work in a child, and return the child's id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(0 if sys.exc_info()[0] is None else 1)


def kills(folder: Path, introspection: str) -> None:
    for number in range(1, MOST_KILLS):

        def work(number: int = number) -> None:
            kill_at(number)
            use(introspection, source(folder, OVER).token())

        _, status = os.waitpid(fork(work), 0)
        for _ in range(2):  # the second refresh shows what the first one kept
            use(introspection, source(folder, OVER).token())
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            sys.stdout.write(str(number - 1))
            return
    raise AssertionError("it never came to an end")


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
