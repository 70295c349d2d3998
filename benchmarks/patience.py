"""Waiting times of a client: for other downloads, many logins, a maildrop of 100,000."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from place import INSTALLED, OURS, SETTLED, SHARED

import mail

if TYPE_CHECKING:
    from pathlib import Path

    from place import Place
    from servers import Running

CROWD, STORM, IDLE = 2000, 1000, 2000  # users; connections at once; connections kept
HUGE = 100_000  # messages
BIG = 25_000_000  # octets


def fairness(place: Place) -> None:
    """Let one client download messages of 25 MB, and another log in 50 times a second."""
    with place.mail("fairness") as folder, contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(place.serving(name, folder, users=2, messages=4, octets=BIG))
            for name in (OURS, SHARED)
        ]
        for _ in range(place.rounds(5)):
            for server in running:
                found = place.load(
                    server, "fairness", users=2, messages=4, connections=2, pause=20,
                    seconds=place.seconds(3),
                )  # fmt: skip
                place.figures.note("25 MB", server.name, found.megabytes)
                place.figures.note("25 MB, login p50", server.name, found.p50)
                place.figures.note("25 MB, login p99", server.name, found.p99)


def crowd(place: Place) -> None:
    """Let 1000 clients come at once, twice; then let 2000 stay."""
    with place.mail("crowd") as folder:
        for name in (OURS, SHARED, INSTALLED):
            with place.serving(name, folder, users=place.many(CROWD), messages=1, octets=700) as it:
                _storms(place, it)
        for name in (OURS, SHARED):
            users = place.many(CROWD)
            with place.serving(name, folder, users=users, messages=1, octets=700) as server:
                place.figures.note("idle", name, _idle(place, server))


def _storms(place: Place, server: Running) -> None:
    connections = place.many(STORM)
    for what in ("storm", "storm again"):
        found = place.load(server, "storm", users=connections, connections=connections, seconds=40)
        place.figures.note(what, server.name, found.seconds)
        unserved = connections - found.sessions
        place.figures.note(f"{what}, not served", server.name, unserved)


def _idle(place: Place, server: Running) -> float:
    """Return the KiB that a connection costs which is logged in and silent."""
    place.load(server, "login", users=1, sessions=1, seconds=30)
    before, connections = server.memory(), place.many(IDLE)
    with place.staying(server, users=connections, connections=connections):
        time.sleep(0.5)
        return (server.memory() - before) / connections / 1024


def huge(place: Place) -> None:
    """Open a maildrop of 100,000 messages: for the first time, unchanged, with one more."""
    messages = place.many(HUGE)
    with place.mail("huge") as folder:
        for name in (OURS, SHARED):
            mail.maildirs(place.box(name, folder), 1, messages, 700, place.owner(name))
        for round_ in range(place.rounds(3)):
            for name in (OURS, SHARED):
                box = place.box(name, folder) / "u0"
                _forget(box)
                time.sleep(SETTLED)
                with place.serving(name, folder) as server:
                    _open(place, server, box, messages + round_)


def _forget(box: Path) -> None:
    """Remove what servers keep beside the messages, so that the next open is the first one."""
    for file in box.iterdir():
        if file.is_file():
            file.unlink()


def _open(place: Place, server: Running, box: Path, messages: int) -> None:
    def opened(what: str, scenario: str, count: int, sessions: int) -> float:
        found = place.load(server, scenario, messages=count, sessions=sessions, seconds=60)
        place.figures.note(what, server.name, found.p50)
        return found.max

    opened("100,000, first", "open", messages, 1)
    time.sleep(SETTLED)
    slowest = opened("100,000, again", "open", messages, 5)
    place.figures.note("100,000, slowest", server.name, slowest)
    opened("100,000, STAT", "stat", messages, 5)
    mail.deliver(box, messages, 700, place.owner(server.name))
    opened("100,000, one more", "open", messages + 1, 1)
