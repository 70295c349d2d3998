"""Every fault at every call of every scenario, each in turn.

Run as `python -m faults.campaign TASK`, a `Task` in JSON, with the shim preloaded; prints what came
of it as JSON. `faults.trial` makes one try, and `faults.test_faults` runs this.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from faults.boxes import BOXES, MORE_BOXES
from faults.broken import BROKEN
from faults.expiring import try_expiry
from faults.meetings import try_meeting
from faults.promise import BreachError
from faults.scenarios import ALL, Delivery, Expiry, Meeting, Scenario, Session, Undeletion
from faults.shim import STATES, Call, Fault, Plan, Shim
from faults.tally import Result
from faults.trial import Bench, try_delivery, try_session, try_undeletion

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS)
TRIES = 3  # at a plan that did not come about
HARMLESS = ("read", "stat", "fstat", "readdir", "fdopendir", "closedir", "close", "fcntl", "flock")
OCTETS = ("read", "write", "send")
DISKS = {
    Fault.FULL: (errno.ENOSPC, errno.EDQUOT),
    Fault.NO_NAMES: (errno.EDQUOT, errno.ENOSPC),
    Fault.READ_ONLY: (errno.EROFS, errno.EROFS),
}
FEWER = 8  # unless all is tried, the disk fills at each call of this multiple


class Task(msgspec.Struct):
    """The work of one process."""

    folder: str
    share: int = 0  # from 0
    shares: int = 1
    whole: bool = False
    box: str = "maildir"
    scenarios: str = ""  # part of their names
    until: str = ""  # part of a breach: with the first such breach the tries end


def faults_of(number: int, call: Call, *, whole: bool) -> Iterator[Plan]:
    """Return all that can befall a call.

    Unless `whole`, one error happens at each that changes something and at every second other, and
    goes on at every fourth. What differs little is left out: to be killed before a call that
    changes nothing is to be killed before the next; to be killed after a call is to be killed
    before the next, but for a client that got its answer.
    """
    changes = call.op not in HARMLESS
    if whole or changes:
        yield Plan(number, Fault.KILL_BEFORE)
    if whole or call.op == "send":
        yield Plan(number, Fault.KILL_AFTER)
    if call.path == "<client>":
        if call.op == "send":
            yield Plan(number, Fault.TORN)
        return
    for place, error in enumerate(ERRORS):
        if whole or ((changes or number % 2) and place == (number // 2) % 4):
            yield Plan(number, Fault.FAIL, error)
        if whole or (number % 4 == 1 and place == (number // 4) % 4):
            yield Plan(number, Fault.FAIL_ON, error)
    if call.op in OCTETS:
        yield Plan(number, Fault.SHORT)
        if whole or call.op != "read":
            yield Plan(number, Fault.TORN)


def disks_of(calls: int, *, whole: bool) -> Iterator[Plan]:
    """Return the disks that fill, or become read-only, before any call or from the first on."""
    for number in range(1, calls + 1, 1 if whole else FEWER):
        for fault, errors in DISKS.items():
            yield Plan(number, fault, errors[number // FEWER % 2])


def plans_of(scenario: Scenario, calls: Sequence[Call], *, whole: bool) -> Iterator[Plan]:
    """Return all that can befall the calls of a scenario."""
    if isinstance(scenario, Meeting):
        for number in range(1, len(calls) + 1):
            yield Plan(number, Fault.MEET)
        if scenario.watches_work:
            return  # without a meeting, nothing comes of it that other scenarios lack
    for number, call in enumerate(calls, 1):
        yield from faults_of(number, call, whole=whole)
    yield from disks_of(len(calls), whole=whole)


def campaign(bench: Bench, scenario: Scenario, task: Task) -> Result:
    """Try everything on one scenario, or a share of it."""
    result = Result()
    bench.met.clear()
    calls = _attempt(bench, scenario, Plan(), result)
    result.steps = Counter(call.op for call in calls)
    tried = Counter[str]()
    plans = list(plans_of(scenario, calls, whole=task.whole))
    sample = 1 if task.whole else scenario.sample
    for plan in plans[task.share :: task.shares * sample]:
        for _ in range(TRIES):
            befallen = _attempt(bench, scenario, plan, result)
            came = len(befallen) >= plan.at
            if came and (plan.fault in STATES or befallen[plan.at - 1].fault is plan.fault):
                name = plan.fault.name.lower()
                tried[f"{name} {errno.errorcode[plan.error]}" if plan.error else name] += 1
                break
        else:
            result.missed += 1
        if task.until and any(task.until in breach for breach in result.breaches):
            break
    result.tried = tried
    result.met = dict(bench.met)
    return result


def _attempt(bench: Bench, scenario: Scenario, plan: Plan, result: Result) -> list[Call]:
    try:
        match scenario:
            case Session():
                return try_session(bench, scenario, plan)
            case Delivery():
                return try_delivery(bench, scenario, plan)
            case Undeletion():
                return try_undeletion(bench, scenario, plan)
            case Expiry():
                return try_expiry(bench, scenario, plan)
            case Meeting():
                return try_meeting(bench, scenario, plan)
    except BreachError as breach:
        bench.drop()
        journal = bench.shim.journal()
        call = journal[plan.at - 1] if 0 < plan.at <= len(journal) else None
        where = f" ({call.op} {call.path})" if call else ""
        result.breaches.append(f"{plan}{where}: {breach}")
        return journal


def main(task: Task) -> None:
    """Print the results."""
    results: dict[str, Result] = {}
    gc.disable()
    box = BOXES.get(task.box) or MORE_BOXES.get(task.box) or BROKEN[task.box][0]
    with contextlib.closing(Bench(Shim(), box, Path(task.folder))) as bench:
        for scenario in ALL:
            if task.scenarios in scenario.name and scenario.is_met_by(box):
                results[scenario.name] = campaign(bench, scenario, task)
    sys.stdout.buffer.write(msgspec.json.encode(results))


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Task))
