"""Sessions a second: small maildrops on every server, large ones on the two that matter most."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, NamedTuple

import servers
from place import OURS, SETTLED, SHARED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import ExitStack
    from pathlib import Path

    from load import Result
    from place import Place
    from servers import Running

SMALL = {"users": 100, "messages": 20, "octets": 7000}
LARGE = {"users": 4, "messages": 1000, "octets": 23_000}
ALL = ("login", "poll", "drain")  # what every server can do
ROUNDS = 15


class Scenario(NamedTuple):
    """The sessions that clients have in a measurement.

    Attributes:
        name: The load's name for it.
        suffix: The end of the measure's name.
        options: More options of the load.
        seconds: How long it is measured at a time.
    """

    name: str
    suffix: str = ""
    options: Mapping[str, float] = {}
    seconds: float = 0.5

    @property
    def measure(self) -> str:
        """The name of the measure."""
        return self.name + self.suffix


OF_SMALL = tuple(map(Scenario, ("login", "poll", "drain", "pipelined", "top", "dele")))
OF_LARGE = (Scenario("poll", " 1000"), Scenario("drain", " 1000", seconds=1.5))


def small(place: Place, peers: list[str]) -> None:
    """Measure 100 users with 20 messages of 7 kB, on all servers."""
    sizes = {**SMALL, "users": 16} if place.short else SMALL
    with place.mail("small") as folder, contextlib.ExitStack() as stack:
        running = start(place, stack, folder, (OURS, *peers), sizes)
        for server in running:
            _first_logins(place, server, sizes)
        warm_up(place, running, sizes)
        running.append(_canned(place, stack, folder, sizes))
        for round_ in range(place.rounds(ROUNDS)):
            for scenario in OF_SMALL:
                for server in running:
                    if _takes_part(server.name, scenario.name, round_):
                        measure(place, server, scenario, sizes)
            running.reverse()


def _takes_part(name: str, scenario: str, round_: int) -> bool:
    """Tell whether to measure: what decides about targets always, the rest less often."""
    if name in {OURS, SHARED}:
        return True
    return scenario in ALL and (name == "canned" or round_ < 3)


def large(place: Place) -> None:
    """Measure 4 users with 1000 messages of 23 kB."""
    with place.mail("large") as folder, contextlib.ExitStack() as stack:
        running = start(place, stack, folder, (OURS, SHARED), LARGE)
        warm_up(place, running, LARGE)
        take_turns(place, running, OF_LARGE, LARGE)


def start(
    place: Place, stack: ExitStack, folder: Path, names: Iterable[str], sizes: dict[str, int]
) -> list[Running]:
    """Start servers, each over mail of its own, until the stack is closed."""
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


def take_turns(
    place: Place, running: list[Running], scenarios: Iterable[Scenario], sizes: dict[str, int]
) -> None:
    """Measure in short rounds; each server goes first in every other one."""
    for _ in range(place.rounds(ROUNDS)):
        for scenario in scenarios:
            for server in running:
                measure(place, server, scenario, sizes)
        running.reverse()


def measure(place: Place, server: Running, scenario: Scenario, sizes: dict[str, int]) -> None:
    """Measure one scenario of one server, and keep what was found.

    Raises RuntimeError: the server accepts no TLS tickets.
    """
    found = place.load(
        server, scenario.name, users=sizes["users"], messages=sizes["messages"],
        connections=min(8, sizes["users"]), seconds=place.seconds(scenario.seconds),
        exact=server.name != "Twisted",  # whose sizes are those of the files
        **scenario.options,
    )  # fmt: skip
    if "resume" in scenario.options and found.sessions and not found.resumed:
        raise RuntimeError(f"{server.name} accepts no TLS tickets")
    _note(place, server.name, scenario.measure, found)


def _note(place: Place, name: str, what: str, found: Result) -> None:
    """Keep what a run found: sessions, or octets where messages are fetched."""
    fetches = what.startswith(("drain", "pipelined"))
    place.figures.note(what, name, found.megabytes if fetches else found.rate)
    place.figures.note(f"{what}, load", name, found.cpu / found.seconds)
    if fetches and found.octets:
        cost = found.server_cpu * 1e3 / (found.octets / 2**20)
        place.figures.note(f"{what}, ms a MiB", name, cost)
    if found.sessions:
        place.figures.note(f"{what}, processor", name, found.server_cpu / found.sessions * 1e3)
