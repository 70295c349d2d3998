"""The campaigns of several processes on a cluster, put together."""

from __future__ import annotations

import os
import sys

from faults.cluster.campaign import Task
from faults.cluster.services import services
from faults.tally import Tally, run_campaigns


class Report(Tally):
    """The sums over all tries, by requests of a node."""

    @property
    def idle(self) -> list[str]:
        """The scenarios whose work beside a session was never refused, or all if none was done."""
        done = any("done" in counts for counts in self.met.values())
        return [name for name, counts in self.met.items() if not (done and "refused" in counts)]


def report(*, shares: int, stride: int, scenarios: str = "", whole: bool = True) -> Report:
    """Run `shares` campaigns at once, which try one of `stride` faults, and put them together.

    `whole`: scenarios that are in no sample, too.
    """
    found = Report()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with services() as running:
        tasks = [
            Task(running, f"bench{share}", share * stride // shares, stride, scenarios, whole)
            for share in range(shares)
        ]
        command = [sys.executable, "-m", "faults.cluster.campaign"]
        for results in run_campaigns(command, tasks, environment):
            for name, result in results.items():
                found.add(name, result)
    return found
