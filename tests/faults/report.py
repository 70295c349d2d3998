"""The campaigns of several processes on one kind of store, put together."""

from __future__ import annotations

import os
from pathlib import Path

from faults.campaign import Task
from faults.shim import preloading, python
from faults.tally import Tally, run_campaigns

SHARES = min(2, len(os.sched_getaffinity(0)))  # processes at once


class Report(Tally):
    """The sums over all tries, by calls of the system."""

    @property
    def idle_meetings(self) -> list[str]:
        """The scenarios with two processes of which one was never refused, or never granted.

        The sessions of a server that a fault befalls come first, so they hold the maildrop.
        """
        works = {"the work: it is done", "the work: it failed", "a removal: granted"}
        logins = {"a login: granted", "a login: refused"}
        return [
            name
            for name, counts in self.met.items()
            if not (works <= set(+counts) or logins <= set(+counts))
        ]


def report(
    library: Path,
    folder: Path,
    *,
    box: str,
    scenarios: str = "",
    whole: bool = False,
    until: str = "",
    sample: int = 1,
) -> Report:
    """Run the campaigns of one kind of store, and return the sums over them.

    Of the faults, one in `sample` is tried. With the first breach that has the text `until` they
    end.
    """
    tasks = []
    shares = 1 if until else SHARES
    for share in range(shares):
        place = folder / f"{box}-{share}"
        place.mkdir()
        tasks.append(Task(str(place), share, shares * sample, whole, box, scenarios, until))
    found = Report()
    command = [python(), "-m", "faults.campaign"]
    for results in run_campaigns(command, tasks, preloading(library)):
        for name, result in results.items():
            found.add(f"{box}: {name}", result)
    return found
