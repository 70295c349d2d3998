"""Sessions a second: small maildrops on every server, large ones on the two that matter most."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import servers
from place import OURS, SETTLED, TUNED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import ExitStack
    from pathlib import Path

    from load import Result
    from place import Place
    from servers import Running

SMALL = {"users": 100, "messages": 20, "octets": 7000}
LARGE = {"users": 4, "messages": 1000, "octets": 23_000}
SCENARIOS = ("login", "poll", "drain", "pipelined", "top", "dele")
ALL = ("login", "poll", "drain")  # what every server can do


def small(place: Place, peers: list[str]) -> None:
    """Measure 100 users with 20 messages of 7 kB, on all servers."""
    sizes = {**SMALL, "users": 16} if place.short else SMALL
    with place.mail("small") as folder, contextlib.ExitStack() as stack:
        running = _start(place, stack, folder, (OURS, *peers), sizes)
        for server in running:
            _first_logins(place, server, sizes)
        warm_up(place, running, sizes)
        running.append(_canned(place, stack, folder, sizes))
        for round_ in range(place.rounds(5)):
            for scenario in SCENARIOS:
                for server in running:
                    if _takes_part(server.name, scenario, round_):
                        measure(place, server, scenario, sizes)


def _takes_part(name: str, scenario: str, round_: int) -> bool:
    """Tell whether to measure: what decides about targets always, the rest less often."""
    if name in {OURS, TUNED}:
        return True
    return scenario in ALL and (name == "canned" or round_ < 2)


def large(place: Place) -> None:
    """Measure 4 users with 1000 messages of 23 kB."""
    with place.mail("large") as folder, contextlib.ExitStack() as stack:
        running = _start(place, stack, folder, (OURS, TUNED), LARGE)
        warm_up(place, running, LARGE)
        for _ in range(place.rounds(5)):
            for scenario in ("poll", "drain"):
                for server in running:
                    measure(place, server, scenario, LARGE, " 1000")


def _start(
    place: Place, stack: ExitStack, folder: Path, names: Iterable[str], sizes: dict[str, int]
) -> list[Running]:
    return [stack.enter_context(place.serving(name, folder, **sizes)) for name in names]


def _canned(place: Place, stack: ExitStack, folder: Path, sizes: dict[str, int]) -> Running:
    server = servers.canned(
        place.programs / "canned", folder / "canned", {place.server_core},
        sizes["messages"], sizes["octets"],
    )  # fmt: skip
    return stack.enter_context(server)


def _first_logins(place: Place, server: Running, sizes: dict[str, int]) -> None:
    """Log every user in for the first time."""
    users = sizes["users"]
    found = place.load(server, "login", users=users, connections=1, sessions=users, seconds=30)
    place.figures.note("first login", server.name, found.p50)


def warm_up(place: Place, running: list[Running], sizes: dict[str, int]) -> None:
    """Let every user poll once, so that caches are written; then let the folders settle."""
    users, messages = sizes["users"], sizes["messages"]
    for server in running:
        place.load(
            server, "poll", users=users, messages=messages, connections=1, sessions=users,
            seconds=60,
        )  # fmt: skip
    time.sleep(SETTLED)


def measure(
    place: Place, server: Running, scenario: str, sizes: dict[str, int], suffix: str = ""
) -> None:
    """Measure one scenario of one server, and keep what was found."""
    found = place.load(
        server, scenario, users=sizes["users"], messages=sizes["messages"],
        connections=min(8, sizes["users"]), seconds=place.seconds(1.5),
        exact=server.name != "Twisted",  # which tells the size of the file
    )  # fmt: skip
    _note(place, server.name, scenario + suffix, found)


def _note(place: Place, name: str, what: str, found: Result) -> None:
    """Keep what a run found: sessions, or octets where messages are fetched."""
    fetches = what.startswith(("drain", "pipelined"))
    place.figures.note(what, name, found.megabytes if fetches else found.rate)
    place.figures.note(f"{what}, load", name, found.cpu / found.seconds)
    if found.sessions:
        place.figures.note(f"{what}, processor", name, found.server_cpu / found.sessions * 1e3)
