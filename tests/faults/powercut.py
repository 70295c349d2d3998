"""A power cut after each call of a scenario, with all that it may leave on the disk, and another.

Run as `python -m faults.powercut TASK`, a `Task` in JSON, with the shim preloaded; prints what came
of it as JSON. A scenario runs once; each disk is then made from the journal of its calls, held
against the replies that the client had before that call, and served by a server that has just
started. And on such a disk a session and a delivery are cut off in the same way, for the power may
fail once more while the first failure is mended.
"""

from __future__ import annotations

import contextlib
import errno
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from faults.boxes import BOXES, KEEPING
from faults.broken import BROKEN
from faults.disk import Contents, History
from faults.expiring import check_expired
from faults.keeping import check_restored
from faults.order import DELIVERED, EXPIRED, GRANTED, RESTORED
from faults.promise import Answer, BreachError, Ledger, hold
from faults.scenarios import (
    DELIVERIES,
    EXPIRIES,
    SESSIONS,
    UNDELETIONS,
    Delivery,
    Expiry,
    Session,
    Undeletion,
)
from faults.shim import Call, Fault, Plan, Shim
from faults.stores import Letter
from faults.trial import Bench, check_delivered, deliver, hold_sessions

NOTHING_FAILS = Plan()
FULL = Plan(1, Fault.FULL, errno.ENOSPC)


class Task(msgspec.Struct):
    """The work of one process."""

    folder: str
    box: str = "maildir"
    scenarios: str = ""  # part of their names
    twice: int = 0  # of this many disks, one has the power cut off again; 0 for none
    full: bool = False  # the disk has no room at the first session
    whole: bool = False  # scenarios of which `make test` has a sample, too


class Told(NamedTuple):
    """The client's knowledge when the power failed."""

    answer: Answer
    uids: frozenset[bytes] = frozenset()


class Run(NamedTuple):
    """A scenario that nothing befell."""

    disk: History  # as it was before
    journal: Sequence[Call]
    told: Sequence[Told]  # by the number of calls, from 0 on


class Left(NamedTuple):
    """A disk after a power cut."""

    contents: Contents
    told: Told


@dataclass
class Result:
    """The results of all power cuts in one scenario."""

    uids: dict[bytes, bytes] = field(default_factory=dict)  # by message, once UIDL listed them
    disks: list[Left] = field(default_factory=list)  # no two are the same
    breaches: list[str] = field(default_factory=list)


def cut_session(
    bench: Bench,
    scenario: Session,
    known: dict[bytes, bytes] | None = None,
    plan: Plan = NOTHING_FAILS,
) -> Result:
    """Cut the power at each call of a session in the folder as it is.

    `known`: the unique-ids that were listed before, by message.
    """
    child = bench.child(take_over=scenario.take_over)
    ledger = replace(bench.ledger(scenario), uids=dict(known or {}))
    messages = [*ledger.messages, *bench.kept()]  # after an earlier power cut, some are in both
    history = History(bench.root)
    bench.shim.plan(bench.root, plan)
    hold_sessions(child, ledger, scenario)
    child.ask("settle")
    journal = bench.shim.journal()
    bench.shim.heal()

    def check(told: Told) -> None:
        uids = {message: uid for message, uid in ledger.uids.items() if uid in told.uids}
        replace(ledger, uids=uids, answer=told.answer).check(bench.messages())
        bench.check_kept(messages)
        if scenario.wrong_sizes:  # this session finds them
            bench.check_next_server(uids, sizes=False, delete=False)
        bench.undelete_all()
        if scenario.wrong_sizes:
            bench.check_next_server(uids, sizes=False, delete=False)
        bench.check_next_server(uids)

    told = _told_in_session(journal, ledger, frozenset((known or {}).values()))
    return _cut(bench, Run(history, journal, told), check, Result(ledger.uids))


def cut_work(bench: Bench, scenario: Undeletion | Expiry) -> Result:
    """Cut the power at each call of an undeletion or an expiry."""
    ledger = bench.remove(scenario)
    child = bench.child()
    history = History(bench.root)
    bench.shim.plan(bench.root, NOTHING_FAILS)
    child.ask("expire" if isinstance(scenario, Expiry) else "undelete")
    journal = bench.shim.journal()
    bench.shim.heal()

    def check(told: Told) -> None:
        if isinstance(scenario, Expiry):
            due = bench.due(scenario)
            lost = check_expired(bench, ledger, due)
            hold(told.answer is not Answer.DONE or lost == set(due), "an expired message is there")
            bench.expire_all(due)
        else:
            bench.check_kept(ledger.messages)
            if told.answer is Answer.DONE:
                check_restored(set(ledger.messages), bench.messages())
            bench.undelete_all()
            check_restored(set(ledger.messages), bench.messages())
        bench.check_next_server(ledger.uids)

    told = _told_by(journal, (RESTORED, EXPIRED))
    return _cut(bench, Run(history, journal, told), check, Result(ledger.uids))


def cut_delivery(bench: Bench, scenario: Delivery) -> Result:
    """Cut the power at each call of a delivery into the folder as it is."""
    child = bench.child(most=scenario.most)
    history = History(bench.root)
    bench.shim.plan(bench.root, Plan())
    at_end = deliver(bench, child, scenario)
    journal = bench.shim.journal()
    told = _told_by(journal, DELIVERED)
    told[-1] = Told(at_end)

    def check(told: Told) -> None:
        answers = [told.answer]
        check_delivered(bench, scenario, answers)
        if told.answer is not Answer.DONE:
            answers.append(bench.deliver_to_next(scenario))
            check_delivered(bench, scenario, answers)
        bench.check_next_server({})

    return _cut(bench, Run(history, journal, told), check, Result())


def _told_by(journal: Sequence[Call], granted: tuple[bytes, ...]) -> list[Told]:
    """Return what was known of work by the number of calls, from 0 on."""
    sent = [call.op == "send" and call.data.startswith(granted) for call in journal]
    return [
        Told(Answer.DONE if any(sent[:number]) else Answer.OPEN)
        for number in range(len(journal) + 1)
    ]


def _told_in_session(
    journal: Sequence[Call], ledger: Ledger, known: frozenset[bytes]
) -> list[Told]:
    """Return a client's replies by the number of calls, from 0 on."""
    sent = [number for number, call in enumerate(journal, 1) if call.op == "send"]
    granted = [number for number in sent if journal[number - 1].data.startswith(GRANTED)]
    removed = granted[-1] if ledger.doomed else len(journal) + 1
    asked = max((number for number in sent if number < removed), default=0)
    told, said = [], b""
    for number in range(len(journal) + 1):
        if number and journal[number - 1].op == "send":
            said += journal[number - 1].data
        answer = Answer.OPEN if asked <= number < removed else Answer.DONE
        if not ledger.doomed or number < asked:
            answer = Answer.NONE
        uids = (uid for uid in ledger.uids.values() if uid in known or uid in said)
        told.append(Told(answer, frozenset(uids)))
    return told


def _cut(bench: Bench, run: Run, check: Callable[[Told], None], result: Result) -> Result:
    """Check every disk that may be left, once for each that the client may have been told."""
    seen = set()
    for number, told in enumerate(run.told):
        if number:
            changed = run.disk.add(run.journal[number - 1])
            if not changed and told == run.told[number - 1]:
                continue
        for contents in run.disk.contents():
            if (disk := (told, frozenset(contents.items()))) in seen:
                continue
            seen.add(disk)
            result.disks.append(Left(contents, told))
            bench.restore(contents)
            try:
                check(told)
            except BreachError as breach:
                where = f"power cut after call {number}"
                result.breaches.append(f"{where}: {breach}: {_names(contents)}")
    return result


def _names(contents: Contents) -> str:
    files = {path: text for path, text in contents.items() if text is not None}
    return ", ".join(f"{path} ({len(text)})" for path, text in sorted(files.items()))


def _again(bench: Bench, left: Left, known: dict[bytes, bytes]) -> Iterator[Result]:
    """Cut the power again, during a session on a disk, and during a delivery to it."""
    bench.restore(left.contents)
    letters = [Letter(message) for message in bench.messages()]
    uids = {message: uid for message, uid in known.items() if uid in left.told.uids}
    yield cut_session(bench, Session("a look", letters, [["STAT", "QUIT"]]), uids)
    bench.restore(left.contents)
    yield cut_delivery(bench, Delivery("a message", letters, b"Subject: later\n\nHello\n"))


def cut(
    bench: Bench,
    scenario: Session | Delivery | Undeletion | Expiry,
    twice: int,
    plan: Plan = NOTHING_FAILS,
) -> dict[str, Any]:
    """Cut the power in a scenario, and on some of the disks once more; return what came of it."""
    bench.fill(scenario.letters)
    if isinstance(scenario, Undeletion | Expiry):
        once = cut_work(bench, scenario)
    elif isinstance(scenario, Session):
        once = cut_session(bench, scenario, plan=plan)
    else:
        once = cut_delivery(bench, scenario)
    breaches, again = list(once.breaches), 0
    wrong_sizes = isinstance(scenario, Session) and scenario.wrong_sizes
    for number, left in enumerate(once.disks):
        if twice and number % twice == 0 and not wrong_sizes:
            for result in _again(bench, left, once.uids):
                again += len(result.disks)
                breaches += [f"after {_names(left.contents)}: {text}" for text in result.breaches]
    return {"disks": len(once.disks), "again": again, "breaches": breaches}


def main(task: Task) -> None:
    """Print the results."""
    box = {**BOXES, **KEEPING}.get(task.box) or BROKEN[task.box][0]
    with contextlib.closing(Bench(Shim(), box, Path(task.folder))) as bench:
        results = {
            scenario.name: cut(bench, scenario, task.twice, FULL if task.full else NOTHING_FAILS)
            for scenario in (*SESSIONS, *DELIVERIES, *UNDELETIONS, *EXPIRIES)
            if task.scenarios in scenario.name
            and scenario.is_met_by(box)
            and scenario.alone
            and (task.whole or scenario.sample == 1 or task.scenarios)
        }
    json.dump(results, sys.stdout, indent=1)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Task))
