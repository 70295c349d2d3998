"""Every fault at every call of every scenario, each in turn.

Run as `python -m faults.campaign FOLDER SHARE SHARES [PART...]` with the shim preloaded; prints what came of it as
JSON. `faults.trial` makes one try.
"""

from __future__ import annotations

import errno
import gc
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.promise import BreachError
from faults.scenarios import DELIVERIES, SESSIONS, Delivery, Session
from faults.shim import Call, Fault, Plan, Shim
from faults.stores import BOXES
from faults.trial import Bench, try_delivery, try_session

KILLS = (Fault.KILL_BEFORE, Fault.KILL_AFTER)
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS)
OCTETS = ("read", "write", "send")


@dataclass
class Result:
    """What came of all the tries of one scenario."""

    calls: int = 0
    tried: Counter[str] = field(default_factory=Counter)
    ops: Counter[str] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)


def faults_of(number: int, call: Call) -> Iterator[Plan]:
    """Return all that can befall a call."""
    for kill in KILLS:
        yield Plan(number, kill)
    if call.path == "<client>":
        if call.op == "send":
            yield Plan(number, Fault.TORN)
        return
    for error in ERRORS:
        yield Plan(number, Fault.FAIL, error)
        yield Plan(number, Fault.FAIL_ON, error)
    if call.op in OCTETS:
        yield Plan(number, Fault.SHORT)
        yield Plan(number, Fault.TORN)


def campaign(bench: Bench, scenario: Session | Delivery, share: int, shares: int) -> Result:
    """Try everything on one scenario, or a share (from 0) of it."""
    result = Result()
    calls = _attempt(bench, scenario, Plan(), result)
    result.calls = len(calls)
    result.ops.update(call.op for call in calls)
    plans = [plan for number, call in enumerate(calls, 1) for plan in faults_of(number, call)]
    for plan in plans[share::shares]:
        befallen = _attempt(bench, scenario, plan, result)
        if len(befallen) < plan.at or befallen[plan.at - 1].fault is not plan.fault:
            result.breaches.append(f"{plan}: never came about")
        name = plan.fault.name.lower()
        result.tried[f"{name} {errno.errorcode[plan.error]}" if plan.error else name] += 1
    return result


def _attempt(bench: Bench, scenario: Session | Delivery, plan: Plan, result: Result) -> list[Call]:
    try:
        if isinstance(scenario, Session):
            return try_session(bench, scenario, plan)
        return try_delivery(bench, scenario, plan)
    except BreachError as breach:
        journal = bench.shim.journal()
        call = journal[plan.at - 1] if 0 < plan.at <= len(journal) else None
        where = f" ({call.op} {call.path})" if call else ""
        result.breaches.append(f"{plan}{where}: {breach}")
        return journal


def main(folder: str, share: str, shares: str, *parts: str) -> None:
    """Print the results of the scenarios whose name has one of these parts."""
    shim = Shim()
    results: dict[str, Any] = {}
    gc.disable()
    for box in BOXES:
        with Bench.of(shim, box, Path(folder)) as bench:
            for scenario in (*SESSIONS, *DELIVERIES):
                name = f"{box.name}: {scenario.name}"
                if not parts or any(part in name for part in parts):
                    results[name] = vars(campaign(bench, scenario, int(share), int(shares)))
    json.dump(results, sys.stdout, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
