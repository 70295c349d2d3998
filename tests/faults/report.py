"""The campaigns of several processes, put together into a table."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from faults.campaign import Task
from faults.shim import preloading, python

SHARES = min(2, len(os.sched_getaffinity(0)))  # processes at once
MOST_SECONDS = 4 * 3600  # of `make faults` on a busy machine


@dataclass
class Report:
    """What came of all tries."""

    tried: Counter[str] = field(default_factory=Counter)  # by kind of fault
    by_scenario: Counter[str] = field(default_factory=Counter)
    ops: Counter[str] = field(default_factory=Counter)  # calls of one run each without a fault
    met: dict[str, Counter[str]] = field(default_factory=dict)  # by scenario
    missed: int = 0
    breaches: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        """How many faults came about."""
        return self.tried.total()

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

    def __str__(self) -> str:
        rows = [f"{self.faults} faults, {len(self.breaches)} breaches of the promise"]
        for counts in (self.by_scenario, self.tried):
            rows += [f"  {count:5}  {what}" for what, count in sorted(counts.items())]
        for name, counts in self.met.items():
            rows += [f"  {count:5}  {name}: {what}" for what, count in sorted(counts.items())]
        return "\n".join(rows)


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
    """Run the campaigns of one kind of store, and return what came of them.

    Of the faults, one in `sample` is tried. With the first breach that has the text `until` they
    end.
    """
    tasks = []
    shares = 1 if until else SHARES
    for share in range(shares):
        place = folder / f"{box}-{share}"
        place.mkdir()
        tasks.append(Task(str(place), share, shares * sample, whole, box, scenarios, until))
    return _together(box, [json.loads(output) for output in _outputs(library, tasks)])


def _outputs(library: Path, tasks: Sequence[Task]) -> list[bytes]:
    running = [
        subprocess.Popen(
            [python(), "-m", "faults.campaign", msgspec.json.encode(task)],
            env=preloading(library),
            stdout=subprocess.PIPE,
        )
        for task in tasks
    ]
    outputs = [process.communicate(timeout=MOST_SECONDS)[0] for process in running]
    assert all(process.returncode == 0 for process in running), "a campaign broke off"
    return outputs


def _together(box: str, shares: Sequence[dict[str, dict[str, Any]]]) -> Report:
    found = Report()
    for results in shares:
        for name, result in results.items():
            tried: Counter[str] = Counter(result["tried"])
            found.tried += tried
            found.by_scenario[f"{box}: {name}"] += tried.total()
            found.ops.update(result["ops"])
            if result["met"]:
                found.met[name] = found.met.get(name, Counter()) + Counter(result["met"])
            found.missed += int(result["missed"])
            found.breaches += [f"{box}, {name}: {text}" for text in result["breaches"]]
    return found
