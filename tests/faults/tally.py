"""The results of campaigns that run at the same time, put together into a table."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

MAX_SECONDS = 4 * 3600  # of all campaigns on a busy machine


@dataclass
class Result:
    """The results of all tries of one scenario."""

    missed: int = 0  # plans that never came about: how often a socket accepts octets may vary
    tried: dict[str, int] = field(default_factory=dict)  # by kind of fault
    steps: dict[str, int] = field(default_factory=dict)  # calls or requests without a fault
    met: dict[str, int] = field(default_factory=dict)  # by the outcome of work beside sessions
    breaches: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        faults = sum(self.tried.values())
        return f"{faults} faults, {len(self.breaches)} breaches, {self.missed} did not come about"


@dataclass
class Tally:
    """The sums over the results of several campaigns."""

    tried: Counter[str] = field(default_factory=Counter)
    by_scenario: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    met: dict[str, Counter[str]] = field(default_factory=dict)  # by scenario
    missed: int = 0
    breaches: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        """The number of faults that came about."""
        return self.tried.total()

    def add(self, name: str, result: Result) -> None:
        """Add a share of the results of a scenario."""
        self.tried.update(result.tried)
        self.by_scenario[name] += sum(result.tried.values())
        self.steps.update(result.steps)
        if result.met:
            self.met.setdefault(name, Counter()).update(result.met)
        self.missed += result.missed
        self.breaches += [f"{name}: {text}" for text in result.breaches]

    def __str__(self) -> str:
        rows = [f"{self.faults} faults, {len(self.breaches)} breaches of the promise"]
        for counts in (self.by_scenario, self.tried):
            rows += [f"  {count:5}  {what}" for what, count in sorted(counts.items())]
        for name, counts in self.met.items():
            rows += [f"  {count:5}  {name}: {what}" for what, count in sorted(counts.items())]
        return "\n".join(rows)


def run_campaigns(
    command: Sequence[str], tasks: Sequence[msgspec.Struct], environment: Mapping[str, str]
) -> list[dict[str, Result]]:
    """Run a command for each task at once, and return the results by scenario of each."""
    running = [
        subprocess.Popen(
            [*command, msgspec.json.encode(task)], env=environment, stdout=subprocess.PIPE
        )
        for task in tasks
    ]
    outputs = [process.communicate(timeout=MAX_SECONDS)[0] for process in running]
    assert all(process.returncode == 0 for process in running), "a campaign broke off"
    return [msgspec.json.decode(output, type=dict[str, Result]) for output in outputs]
