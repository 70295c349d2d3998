"""One try: a scenario, a fault, the promise checked, and a session after it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from faults.client import Talk
from faults.disk import Contents, Link, Target
from faults.host import Child
from faults.keeping import KeepingMaildir, KeepingMbox, check_kept, check_restored
from faults.order import check_deliveries, check_removals, check_room, check_undeletions
from faults.promise import Answer, Ledger, check_delivery, check_next, hold
from faults.scenarios import Delivery, Expiry, Meeting, Session, Undeletion
from faults.senders import by_lmtp, by_pipe
from faults.shim import STATES, Call, Fault, Plan, Shim
from faults.stores import LONG_AGO, OWNER, Box, Letter, files
from restante.storage.maildir.identity import TICK

KILLS = (Fault.KILL_BEFORE, Fault.KILL_AFTER, Fault.TORN)


class Bench:
    """Where tries are made: a shim, a kind of store, and a folder with `mail` below it."""

    def __init__(self, shim: Shim, box: Box, folder: Path) -> None:
        self.shim = shim
        self.box = box
        self.root = folder / "mail"
        users = folder / "users"
        users.write_text(f"{OWNER}:$6$saltsalt${'x' * 86}\n")
        self.options: list[str | Path] = [
            "--mail",
            self.root,
            "--users",
            users,
            "--format",
            box.format,
        ]
        self.met: Counter[str] = Counter()  # what came of meetings
        self._next = Child(self.root, box.store, anew=True)
        self._child: Child | None = None
        self._other: Child | None = None

    def close(self) -> None:
        """End its servers."""
        self._next.end()
        if self._other is not None:
            self._other.end()
        self.drop()

    def child(self, *, take_over: bool = False, most: int | None = None) -> Child:
        """Return a server as it is after its start, which the shim watches.

        `most`: messages that a maildrop may have; the oldest ones make room.
        """
        if self._child is None:
            self._child = Child(self.root, self.box.store, self.shim)
        self._child.ask("new", take_over=take_over, most=most)
        return self._child

    def other(self, *, take_over: bool = False, most: int | None = None) -> Child:
        """Return one more server as it is after its start, which nothing befalls."""
        if self._other is None:
            self._other = Child(self.root, self.box.store)
        self._other.ask("new", take_over=take_over, most=most)
        return self._other

    def drop(self) -> None:
        """Forget the server: something befell it."""
        if self._child is not None:
            self._child.end()
            self._child = None

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

    def restore(self, contents: Contents) -> None:
        """Begin anew with these files and folders, long after they were made."""
        self.fill([])
        for path in sorted(contents):
            text, place = contents[path], self.root / path
            if text is None:
                place.mkdir()
            elif isinstance(text, Target):
                place.symlink_to(os.fsdecode(text))
            elif not isinstance(text, Link):
                place.write_bytes(text)
                os.utime(place, (LONG_AGO, LONG_AGO))
        for path, text in contents.items():
            if isinstance(text, Link):
                os.link(self.root / text, self.root / path)
        self.box.restored(self.root)

    def ledger(self, scenario: Session) -> Ledger:
        """Return the ledger of a client that has not come yet."""
        messages = [self.box.stored(letter.octets) for letter in scenario.letters]
        return Ledger(messages, takes_over=scenario.take_over)

    def changer(self, scenario: Session, child: Child) -> Callable[[str, int], None]:
        """Return what changes a message (from 1) as another program does, or kicks the session."""

        def change(how: str, number: int) -> None:
            if how == "kick":
                child.ask("kick")
            else:
                self.box.change(self.root, scenario.letters[number - 1].octets, how)

        return change

    def messages(self) -> list[bytes]:
        """Return the messages that are there, as another program reads them."""
        return self.box.messages(files(self.root))

    def remove(self, scenario: Undeletion | Expiry | Meeting) -> Ledger:
        """Begin anew, remove messages, and return what the client knows."""
        self.fill(scenario.letters)
        marks = [f"DELE {number}" for number in scenario.removed]
        session = Session(scenario.name, scenario.letters, [["UIDL", *marks, "QUIT"]])
        ledger = self.ledger(session)
        visit(self._next, ledger, session.visits[0])
        hold(ledger.answer is Answer.DONE, "nothing was removed")
        return ledger

    def kept(self) -> list[bytes]:
        """Return the removed messages that are kept, as another program reads them."""
        if isinstance(self.box, KeepingMaildir | KeepingMbox):
            return self.box.kept(files(self.root))
        return []

    def check_kept(self, messages: Sequence[bytes]) -> None:
        """Hold that each of these messages is there, or kept. Raises BreachError."""
        if isinstance(self.box, KeepingMaildir | KeepingMbox):
            found = files(self.root)
            check_kept(messages, self.box.messages(found), self.box.kept(found))

    def undelete_all(self) -> None:
        """Let another server restore all that is kept. Raises BreachError."""
        if isinstance(self.box, KeepingMaildir | KeepingMbox):
            found = files(self.root)
            before = {*self.box.messages(found), *self.box.kept(found)}
            report = self._next.ask("undelete")
            hold(report is not None and "restored" in report, f"no undeletion: {report}")
            check_restored(before, self.messages())

    def due(self, scenario: Expiry | Meeting) -> list[bytes]:
        """Return the messages that are old enough to expire."""
        return [self.box.stored(each.octets) for each in scenario.letters if each.age == "old"]

    def expire_all(self, due: Sequence[bytes]) -> None:
        """Let another server expire what is due; if it is restored, it stays for a while."""
        report = self._next.ask("expire")
        hold(report is not None and "expired" in report, f"no expiry: {report}")
        hold(not set(due) & set(self.messages()), "a message is there after all were expired")
        self.undelete_all()
        report = self._next.ask("expire")
        hold(report == {"expired": []}, f"a restored message expires at once: {report}")

    def deliver_to_next(self, scenario: Delivery | Meeting) -> Answer:
        """Deliver a message by another server, straight into its store."""
        self._next.ask("new", most=scenario.most)  # one that remembers no sum of a quota
        return answer_of(self._next.ask("deliver", scenario.delivered))

    def check_next_server(
        self, uids: dict[bytes, bytes], *, sizes: bool = True, delete: bool = True
    ) -> None:
        """Let another server fetch all that is there, and delete it."""
        _check_next(self._next, self.messages(), uids, sizes=sizes, delete=delete)
        if delete:
            left = self.messages()
            hold(not left, f"{len(left)} messages are there after all were deleted")


def try_session(bench: Bench, scenario: Session, plan: Plan) -> list[Call]:
    """Hold a session that something befalls, and return what it called. Raises BreachError."""
    bench.fill(scenario.letters)
    ledger = bench.ledger(scenario)
    ledger.must_read = bool(scenario.letters) and plan.fault in STATES
    ledger.must_remove = bool(scenario.letters) and (
        (plan.fault is Fault.FULL and bench.box.removes_when_full)
        or (plan.fault is Fault.NO_NAMES and bench.box.removes_without_names)
    )
    child = bench.child(take_over=scenario.take_over)
    bench.shim.plan(bench.root, plan)
    hold_sessions(child, ledger, scenario, bench.changer(scenario, child))
    alive = child.ask("settle") is not None
    journal = bench.shim.journal()
    bench.shim.heal()
    killed = any(call.fault in KILLS for call in journal)
    hold(alive is not killed, "the server ended, though nothing killed it")
    check_removals(journal, bench.box)
    unlocked = any(call.path == bench.box.lock and not call.done for call in journal)
    hold(unlocked or not ledger.shared, "an idle session was not ended by the next login")
    there = bench.messages()
    ledger.check(there)
    bench.check_kept(ledger.messages)
    if alive:
        _check_next(child, there, ledger.uids, sizes=not scenario.wrong_sizes)
        check_end(child, removed=len(ledger.messages) - len(there))
    else:
        bench.drop()
    if scenario.wrong_sizes:  # this session finds them, whatever became of those before
        bench.check_next_server(ledger.uids, sizes=False, delete=False)
    bench.undelete_all()
    if scenario.wrong_sizes:  # of the restored ones, too
        bench.check_next_server(ledger.uids, sizes=False, delete=False)
    bench.check_next_server(ledger.uids)
    return journal


def try_undeletion(bench: Bench, scenario: Undeletion, plan: Plan) -> list[Call]:
    """Undelete messages while something befalls it, and once more. Raises BreachError."""
    ledger = bench.remove(scenario)
    child = bench.child()
    bench.shim.plan(bench.root, plan)
    report = child.ask("undelete")
    journal = bench.shim.journal()
    bench.shim.heal()
    assert isinstance(bench.box, KeepingMaildir | KeepingMbox)
    check_undeletions(journal, bench.box.restorations)
    bench.check_kept(ledger.messages)
    if report is not None and "restored" in report:
        hold(len(report["restored"]) == len(scenario.removed), "not all was restored")
        check_restored(set(ledger.messages), bench.messages())
    if any(call.fault in KILLS for call in journal):
        bench.drop()
        child = bench.child()
    check_end(child)
    bench.undelete_all()
    check_restored(set(ledger.messages), bench.messages())
    bench.check_next_server(ledger.uids)
    return journal


def try_delivery(bench: Bench, scenario: Delivery, plan: Plan) -> list[Call]:
    """Deliver a message while something befalls it, as often as a sender would."""
    bench.fill(scenario.letters)
    child = bench.child(most=scenario.most)
    broken = plan.fault in (Fault.FAIL_ON, Fault.READ_ONLY)
    bench.shim.plan(bench.root, plan)
    answers = [deliver(bench, child, scenario)]
    journal = bench.shim.journal()
    bench.shim.heal()
    done = scenario.way == "pipe" and answers[0] is Answer.DONE
    check_deliveries(journal, bench.box, at_end=done)
    check_room(journal, bench.box)
    gone = check_delivered(bench, scenario, answers, broken=broken)
    logged = 0
    if any(call.fault in KILLS for call in journal):  # perhaps just after it had answered
        bench.drop()
        child, logged = bench.child(most=scenario.most), gone
    if answers[-1] is not Answer.DONE:
        answers.append(deliver(bench, child, scenario))
    if answers[-1] is not Answer.DONE and scenario.most is not None:
        # A file that changed a moment ago is not removed if its size could not be read at first.
        time.sleep(TICK / 1e9)
        answers[-1] = deliver(bench, child, scenario)
    hold(answers[-1] is Answer.DONE, "the next try failed although nothing does any more")
    gone = check_delivered(bench, scenario, answers, broken=broken)
    check_end(child, removed=gone - logged)
    bench.check_next_server({})
    return journal


def hold_sessions(
    child: Child,
    ledger: Ledger,
    scenario: Session | Meeting,
    change: Callable[[str, int], None] = lambda *_: None,
) -> None:
    """Hold the sessions of a scenario."""
    before: Talk | None = None
    held = left = False
    for number, commands in enumerate(scenario.visits, 1):
        stay = scenario.take_over and number < len(scenario.visits)
        talk = visit(child, ledger, commands, change, stay=stay)
        if before is not None and (left or (held and ledger.logged_in)):
            ledger.end_taken_over(before, left=left)
        elif before is not None:
            before.close()
        before = talk if stay else None
        held, left = ledger.logged_in, "QUIT &" in commands and ledger.answer is Answer.OPEN


def visit(
    child: Child,
    ledger: Ledger,
    commands: Sequence[str],
    change: Callable[[str, int], None] = lambda *_: None,
    *,
    stay: bool = False,
) -> Talk | None:
    """Hold one session of a client, and return its connection; None: the server was killed."""
    try:
        talk = Talk(child.connect())
    except (ConnectionRefusedError, ConnectionResetError):
        return None
    ledger.visit(talk, commands, change, stay=stay)
    return talk


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


def check_end(child: Child, *, removed: int | None = None) -> None:
    """See what a server that nothing killed leaves behind.

    `removed`: the number of messages that it has removed.
    """
    child.ask("settle")
    report = child.ask("look")
    hold(report is not None, "the server ended")
    assert report is not None
    hold(not report["open"], f"files stay open: {report['open']}")
    for line in report["log"].splitlines():
        hold("event=incident" not in line, f"an unforeseen error: ...{line[-400:]}")
    events = report["log"].count(" event=message_removed ")
    hold(removed in (None, events), f"{removed} messages are gone, and the log has {events}")


def deliver(bench: Bench, child: Child, scenario: Delivery) -> Answer:
    """Send a message, and return the sender's reply."""
    if scenario.way == "lmtp":
        return by_lmtp(child.connect_lmtp(), scenario.message)
    if scenario.way == "pipe":
        return by_pipe(bench.shim, bench.options, scenario.message)
    return answer_of(child.ask("deliver", scenario.message))


def answer_of(report: dict[str, Any] | None) -> Answer:
    if report is None:
        return Answer.OPEN
    return Answer.REFUSED if "error" in report else Answer.DONE


def check_delivered(
    bench: Bench, scenario: Delivery, answers: Sequence[Answer], *, broken: bool = False
) -> int:
    """Hold the promise against the sender's reply at each try. Raises BreachError.

    Returns how many messages have made room.
    """
    there = bench.messages()
    letters = [bench.box.stored(letter.octets) for letter in scenario.letters]
    gone = [letter for letter in letters if letter not in there]
    oldest = letters[: scenario.in_the_way(len(answers))]
    hold(set(gone) <= set(oldest), "a message is lost that was there before, and not in the way")
    there = [message for message in there if message not in letters]
    left = len(letters) - len(gone) + len(there)
    fits = broken or not there or scenario.most is None or left <= scenario.most
    hold(fits, f"{left} messages are there")  # a broken disk may hide one from the sum for a minute
    check_delivery(bench.box.stored(scenario.delivered), answers, there, broken=broken)
    return len(gone)
