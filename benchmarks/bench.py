"""Restante beside other POP3 servers: make bench.

Each server runs on one core and the load on another, in turn, several times over.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import load
import mail
from figures import Figures
from peers import NOBODY, dovecot
from servers import canned, restante

BUILD = Path(__file__).parents[1] / "build" / "benchmarks"
SCENARIOS = ("login", "poll", "drain", "pipelined", "top", "dele")


def main() -> None:
    """Measure, and print what was found."""
    short = bool(os.environ.get("SHORT"))
    load.build(BUILD)
    figures = Figures()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        place = Path(name)
        place.chmod(0o755)
        for owner in ("ours", "theirs"):
            mail.maildirs(place / owner, 100, 20, 7000, NOBODY if owner == "theirs" else 0)
        servers = [
            stack.enter_context(restante(place / "restante", place / "ours", {0})),
            stack.enter_context(dovecot(place / "dovecot", place / "theirs", 0)),
            stack.enter_context(canned(BUILD / "canned", place / "canned", 0, 20, 7000)),
        ]
        for _ in range(1 if short else 5):
            for scenario in SCENARIOS:
                for server in servers:
                    found = load.run(
                        BUILD / "load", 1, server, scenario,
                        users=100, messages=20, connections=8, seconds=0.5 if short else 2,
                    )  # fmt: skip
                    figures.note(scenario, server.name, found.rate)
    for scenario in SCENARIOS:
        line = [
            f"{name} {figures.median(scenario, name):.0f}" for name in figures.servers(scenario)
        ]
        print(scenario, ", ".join(line))


if __name__ == "__main__":
    main()
