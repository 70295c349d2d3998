"""Two workers on two cores, beside one. With two cores in all, the load takes its share of both."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import load
import mail
import servers

from restante.server.sections import Server

if TYPE_CHECKING:
    from place import Place

USERS, MESSAGES, OCTETS = 100, 20, 7000
ONE, TWO = "1 worker", "2 workers"


def workers(place: Place) -> None:
    """Measure logins, polls and drains with one worker and with two."""
    cores = os.sched_getaffinity(0)
    if "workers" not in Server.__struct_fields__ or len(cores) < 2:
        return
    with place.mail("workers") as folder, contextlib.ExitStack() as stack:
        running = {}
        for name, number in ((ONE, 1), (TWO, 2)):
            box = folder / f"mail-{number}"
            mail.maildirs(box, USERS, MESSAGES, OCTETS, 0)
            several = servers.restante(folder / f"restante-{number}", box, cores, workers=number)
            running[name] = stack.enter_context(several)
        for _ in range(place.rounds(5)):
            for scenario in ("login", "poll", "drain"):
                for name, server in running.items():
                    found = load.run(
                        place.programs / "load", cores, server, scenario,
                        users=USERS, messages=MESSAGES, connections=16, seconds=place.seconds(2),
                    )  # fmt: skip
                    _note(place, scenario, name, found)


def _note(place: Place, scenario: str, name: str, found: load.Result) -> None:
    place.figures.note(f"workers, {scenario}", name, found.rate)
    if found.server_cpu:
        potential = found.sessions / found.server_cpu * (2 if name == TWO else 1)
        place.figures.note(f"workers, {scenario}, by processor time", name, potential)
