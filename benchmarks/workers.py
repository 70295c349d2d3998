"""Two workers on two cores, beside one. Where there are only two, the load shares them."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import load
import servers
from sessions import ALL, SMALL, warm_up

import mail
from restante.server.config.server_sections import ServerSection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from place import Place
    from servers import Running

ONE, TWO = "1 worker", "2 workers"


def workers(place: Place) -> None:
    """Measure logins, polls and drains with one worker and with two."""
    cores = sorted(os.sched_getaffinity(0))
    if "workers" not in ServerSection.__struct_fields__ or len(cores) < 2:
        return
    with place.mail("workers") as folder, contextlib.ExitStack() as stack:
        running = {
            name: stack.enter_context(_started(folder, number, set(cores[:2])))
            for name, number in ((ONE, 1), (TWO, 2))
        }
        for _ in range(2):  # so that each worker knows most users
            warm_up(place, list(running.values()), SMALL)
        for _ in range(place.rounds(5)):
            for scenario in ALL:
                for name, server in running.items():
                    _measure(place, server, scenario, name, set(cores[2:] or cores))


@contextlib.contextmanager
def _started(folder: Path, number: int, cores: set[int]) -> Iterator[Running]:
    box, home = folder / f"mail-{number}", folder / f"restante-{number}"
    mail.maildirs(box, **SMALL, owner=0)
    with servers.restante(home, box, cores, workers=number) as server:
        yield server


def _measure(place: Place, server: Running, scenario: str, name: str, cores: set[int]) -> None:
    found = load.run(
        place.programs / "load", cores, server, scenario,
        users=SMALL["users"], messages=SMALL["messages"], connections=16,
        seconds=place.seconds(1.5),
    )  # fmt: skip
    place.figures.note(f"workers, {scenario}", name, found.rate)
    if found.server_cpu:
        potential = found.sessions / found.server_cpu * (2 if name == TWO else 1)
        place.figures.note(f"workers, {scenario}, by processor time", name, potential)
