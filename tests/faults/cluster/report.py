"""The campaigns of several processes, put together into a table."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from faults.cluster.campaign import Result, Task
from faults.cluster.services import services

MOST_SECONDS = 4 * 3600


@dataclass
class Report:
    """What came of all tries."""

    tried: Counter[str] = field(default_factory=Counter)  # by peer and kind of fault
    by_scenario: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)  # of the requests of a run without faults
    met: dict[str, Counter[str]] = field(default_factory=dict)  # by scenario
    missed: int = 0
    breaches: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        """How many faults came about."""
        return self.tried.total()

    @property
    def idle(self) -> list[str]:
        """The scenarios whose work beside a session was never refused, or all if none was done."""
        done = any("done" in counts for counts in self.met.values())
        return [name for name, counts in self.met.items() if not (done and "refused" in counts)]

    def __str__(self) -> str:
        rows = [f"{self.faults} faults, {len(self.breaches)} breaches of the promise"]
        for counts in (self.by_scenario, self.tried):
            rows += [f"  {count:5}  {what}" for what, count in sorted(counts.items())]
        for name, counts in self.met.items():
            rows += [f"  {count:5}  {name}: {what}" for what, count in sorted(counts.items())]
        return "\n".join(rows)


def report(*, shares: int, stride: int, scenarios: str = "", whole: bool = True) -> Report:
    """Run `shares` campaigns at once, which try one of `stride` faults, and put them together.

    `whole`: scenarios that are in no sample, too.
    """
    with services() as running:
        tasks = [
            Task(running, f"bench{share}", share * stride // shares, stride, scenarios, whole)
            for share in range(shares)
        ]
        return _together([_read(output) for output in _outputs(tasks)])


def _outputs(tasks: Sequence[Task]) -> list[bytes]:
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "faults.cluster.campaign", msgspec.json.encode(task)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
        )
        for task in tasks
    ]
    outputs = [process.communicate(timeout=MOST_SECONDS)[0] for process in running]
    assert all(process.returncode == 0 for process in running), "a campaign broke off"
    return outputs


def _read(output: bytes) -> dict[str, Result]:
    return msgspec.json.decode(output, type=dict[str, Result])


def _together(several: Sequence[dict[str, Result]]) -> Report:
    found = Report()
    for results in several:
        for name, result in results.items():
            found.tried.update(result.tried)
            found.by_scenario[name] += sum(result.tried.values())
            found.labels.update(result.labels)
            if result.met:
                found.met[name] = found.met.get(name, Counter()) + Counter(result.met)
            found.missed += result.missed
            found.breaches += [f"{name}, {text}" for text in result.breaches]
    return found
