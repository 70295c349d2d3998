"""Every fault at every request of every scenario, each in turn.

Run as `python -m faults.cluster.campaign TASK`, a `Task` in JSON; prints what came of it as JSON.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from faults.client import LostError
from faults.cluster.bench import Bench
from faults.cluster.expiring import try_expiry
from faults.cluster.proxy import Fault, Met, Plan
from faults.cluster.scenarios import DELIVERIES, EXPIRIES, SESSIONS, Expiry, Scenario, Session
from faults.cluster.services import Services
from faults.cluster.trial import revive, try_delivery, try_session
from faults.promise import BreachError
from faults.tally import Result

FAULTS = [fault for fault in Fault if fault is not Fault.NONE]
SURVIVED = (Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.CUT_WITHIN, Fault.DROP_REPLY, Fault.ERROR)
SECOND = (
    Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.DROP_REPLY, Fault.GONE, Fault.KILL_AFTER,
    Fault.STOP_AFTER,
)  # fmt: skip
TRIES = 3  # at a plan that did not come about


class Task(msgspec.Struct):
    """The work of one process: the plans whose number modulo `stride` is `share`."""

    services: Services
    name: str
    share: int = 0
    stride: int = 1
    scenarios: str = ""  # part of their names
    whole: bool = True  # scenarios that are in no sample, too


def campaign(bench: Bench, scenario: Scenario, plans: Plans) -> Result:
    """Try a share of all faults on one scenario."""
    result = Result()
    bench.met.clear()
    for _ in range(1 + 2 * bench.keep_removed(keeps=scenario.keeps)):
        _attempt(bench, scenario, Plan(), result)  # the first times, a node does more
    journal = _attempt(bench, scenario, Plan(beats=scenario.beats), result)
    result.steps = Counter(f"{met.peer}: {met.label}" for met in journal)
    tried = Counter[str]()

    def follow(plan: Plan) -> int:
        return len(_attempt(bench, scenario, plan, result))

    for plan in plans.of(journal, scenario, follow):
        met: list[Met] = []
        for _ in range(TRIES):
            met = _attempt(bench, scenario, plan, result)
            if len(met) >= plan.last_at and met[plan.at - 1].label == journal[plan.at - 1].label:
                break
        if len(met) >= plan.last_at:
            first = f"{met[plan.at - 1].peer}: {plan.fault.value}"
            tried[f"{first}, and a second fault" if plan.second_at else first] += 1
        else:
            result.missed += 1
    result.tried = tried
    result.met = dict(bench.met)
    return result


@dataclass
class Plans:
    """Deals out plans: this share gets each `stride`-th, counted over all scenarios."""

    share: int
    stride: int
    _count: int = 0

    def of(
        self,
        journal: list[Met],
        scenario: Scenario,
        follow: Callable[[Plan], int],
    ) -> Iterator[Plan]:
        """Return this share of all plans at these requests.

        `follow` returns how many requests there are with a fault.
        """
        for number in range(1, len(journal) + 1):
            if scenario.twice:
                several = _pairs(number, follow)
            else:
                several = (Plan(number, fault, beats=scenario.beats) for fault in FAULTS)
            for plan in several:
                self._count += 1
                if self._count % self.stride == self.share:
                    yield plan


def _pairs(at: int, follow: Callable[[Plan], int]) -> Iterator[Plan]:
    """Return plans with a second fault at each request after the first one."""
    for fault in SURVIVED:
        later = range(at + 1, follow(Plan(at, fault)) + 1)
        for second_at, second in itertools.product(later, SECOND):
            yield Plan(at, fault, second_at=second_at, second=second)


def _attempt(bench: Bench, scenario: Scenario, plan: Plan, result: Result) -> list[Met]:
    try:
        if isinstance(scenario, Session):
            return try_session(bench, scenario, plan)
        if isinstance(scenario, Expiry):
            return try_expiry(bench, scenario, plan)
        return try_delivery(bench, scenario, plan)
    except (BreachError, TimeoutError, LostError) as breach:
        bench.plan(Plan())
        journal = bench.journal
        request = journal[plan.at - 1] if 0 < plan.at <= len(journal) else None
        where = f" ({request.peer}: {request.label})" if request else ""
        result.breaches.append(f"{plan}{where}: {breach!r}")
        print(scenario.name, result.breaches[-1], file=sys.stderr)  # noqa: T201  # runs are long
        bench.heal()
        revive(bench)
        return journal


def main(task: Task) -> None:
    """Print the results."""
    results: dict[str, Result] = {}
    plans = Plans(task.share, task.stride)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(task.services, Path(folder), task.name)
        with bench.running():
            for scenario in (*SESSIONS, *DELIVERIES, *EXPIRIES):
                if task.scenarios in scenario.name and (task.whole or scenario.in_sample):
                    found = results[scenario.name] = campaign(bench, scenario, plans)
                    print(f"{task.name}: {scenario.name}: {found}", file=sys.stderr)  # noqa: T201
    sys.stdout.buffer.write(msgspec.json.encode(results))


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Task))
