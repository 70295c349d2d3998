"""One try: a scenario, a fault, the promise checked, and a session after it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.client import Talk
from faults.host import AGAIN, SETTLE, STOP, Child, delivering, serving, serving_anew
from faults.promise import Answer, Ledger, check_delivery, check_next, hold
from faults.scenarios import Delivery, Session
from faults.shim import Call, Fault, Plan, Shim
from faults.stores import Box, Letter, files

KILLS = (Fault.KILL_BEFORE, Fault.KILL_AFTER, Fault.TORN)


@dataclass(frozen=True)
class Bench:
    """Where tries are made: the shim, a kind of store, and a folder with `mail` below it."""

    shim: Shim
    box: Box
    root: Path
    next: Child  # a server that is not befalled, and takes each connection as if just started

    @classmethod
    @contextlib.contextmanager
    def of(cls, shim: Shim, box: Box, folder: Path) -> Iterator[Bench]:
        """Set one up in a folder while the block runs."""
        root = folder / "mail"
        with serving_anew(root, box.store) as following:
            yield cls(shim, box, root, following)

    def fill(self, letters: Sequence[Letter]) -> None:
        """Begin anew with these letters.

        The old folder is put aside first: a server may still be busy in it, whose client broke off.
        """
        if self.root.exists():
            aside = Path(tempfile.mkdtemp(dir=self.root.parent))
            self.root.rename(aside / "mail")
            shutil.rmtree(aside, ignore_errors=True)
        self.root.mkdir()
        self.box.fill(self.root, letters)

    def messages(self) -> list[bytes]:
        """Return the messages that are there, as another program reads them."""
        return self.box.messages(files(self.root))

    def check_next_server(self, uids: dict[bytes, bytes]) -> None:
        """Let another server fetch all that is there and delete it."""
        _check_next(self.next, self.messages(), uids, delete=True)
        left = self.messages()
        hold(not left, f"{len(left)} messages are there after all were deleted")


def try_session(bench: Bench, scenario: Session, plan: Plan) -> list[Call]:
    """Hold a session that something befalls, and return what it called. Raises BreachError."""
    bench.fill(scenario.letters)
    ledger = Ledger(scenario.kept)
    with serving(bench.shim, bench.root, plan, bench.box.store) as child:
        for commands in scenario.visits:
            _visit(child, ledger, commands, lambda number: bench.box.flag(bench.root, number))
        settled = child.ask(SETTLE)
        journal = bench.shim.journal()
        killed = any(call.fault in KILLS for call in journal)
        hold(killed is (settled is None), "the server ended, though nothing killed it")
        bench.shim.heal()
        there = bench.messages()
        ledger.check(there)
        if settled is not None:
            _check_next(child, there, ledger.uids, sizes=not scenario.wrong_sizes)
            _check_end(child)
    if scenario.wrong_sizes:  # this session finds them, whatever became of those before
        _check_next(bench.next, there, ledger.uids, sizes=False)
    bench.check_next_server(ledger.uids)
    return journal


def try_delivery(bench: Bench, scenario: Delivery, plan: Plan) -> list[Call]:
    """Deliver a message while something befalls it, as often as a sender would."""
    bench.fill(scenario.letters)
    with delivering(bench.shim, bench.root, plan, bench.box.store, scenario.message) as child:
        answers = [_answer(child.report())]
        journal = bench.shim.journal()
        bench.shim.heal()
        _check_delivery(bench, scenario, answers, plan)
        if answers[-1] is Answer.REFUSED:
            answers.append(_answer(child.ask(AGAIN)))
    if answers[-1] is Answer.OPEN:
        with delivering(bench.shim, bench.root, Plan(), bench.box.store, scenario.message) as child:
            answers.append(_answer(child.report()))
    hold(answers[-1] is Answer.DONE, "the second try failed although nothing does any more")
    _check_delivery(bench, scenario, answers, plan)
    bench.check_next_server({})
    return journal


def _visit(child: Child, ledger: Ledger, commands: Sequence[str], flag: Callable[[int], None]) -> None:
    try:
        talk = Talk(child.connect())
    except (ConnectionRefusedError, ConnectionResetError):
        return  # it was killed before
    ledger.visit(talk, commands, flag)


def _check_next(
    child: Child,
    there: Sequence[bytes],
    uids: dict[bytes, bytes],
    *,
    sizes: bool = True,
    delete: bool = False,
) -> None:
    with contextlib.closing(Talk(child.connect())) as talk:
        check_next(talk, there, uids, sizes=sizes, delete=delete)


def _check_end(child: Child) -> None:
    """Let a server stop that nothing killed, and see what it leaves behind."""
    report = child.ask(STOP)
    hold(report is not None, "the server did not end as it should")
    assert report is not None
    hold(not report["left"], f"files stay open: {report['left']}")
    for line in report["log"].splitlines():
        hold("event=incident" not in line, f"an unforeseen error: ...{line[-400:]}")


def _answer(said: dict[str, Any] | None) -> Answer:
    if said is None:
        return Answer.OPEN
    hold(not said["left"], f"files stay open: {said['left']}")
    return Answer.DONE if said["uid"] else Answer.REFUSED


def _check_delivery(
    bench: Bench, scenario: Delivery, answers: Sequence[Answer], plan: Plan
) -> None:
    there = bench.messages()
    for letter in scenario.letters:
        hold(letter.octets in there, "a message that was there before is lost")
        there.remove(letter.octets)
    broken = plan.fault is Fault.FAIL_ON
    check_delivery(scenario.message, answers, there, broken=broken)
