"""One try: a scenario at node `a`, a fault, and the promise checked at both nodes."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for

from faults.client import Talk
from faults.cluster.bench import Bench, Node, Row, stored
from faults.cluster.proxy import KILLS, LASTING, STOPS, Met, Plan
from faults.cluster.scenarios import Delivery, Scenario, Session
from faults.keeping import check_kept, check_restored
from faults.promise import Answer, Ledger, check_delivery, check_next, hold
from protocol import reference

WORK = 300  # seconds after which a try is broken off
MET = b"Subject: met\n\nHello\n"  # comes beside a session, and requires room
UID = re.compile(r" uid=(\S+)")


def try_session(bench: Bench, scenario: Session, plan: Plan) -> list[Met]:
    """Hold sessions at which something happens; return the requests. Raises BreachError."""
    owner = begin(bench, scenario)
    before = [stored(owner, message) for message in scenario.messages]
    ledger = Ledger(before[scenario.removed :], owner=owner)
    known = [*before, *(stored(owner, message) for message in (*scenario.beside, MET))]
    work = Work(bench, owner, scenario)
    beside: list[tuple[bytes, Answer]] = []
    taker = _Taker(bench, owner, known)
    takes = any({"!take 1", "!race 1"} & set(visit) for visit in scenario.visits)

    def change(how: str, number: int) -> None:
        if how == "lose":
            bench.lose(owner)
        elif how == "take":
            taker.take()
            ledger.taken = True
        elif how == "race":
            taker.begin()
        elif how == "work":
            work.begin()
        elif how == "await":
            work.wait()
        else:
            bench.await_beats(number)

    def visit() -> None:
        for commands in scenario.visits:
            with contextlib.suppress(OSError):  # the node was killed before
                ledger.visit(Talk(bench.a.connect()), commands, change)

    def deliver_beside() -> None:
        beside.extend(
            (stored(owner, each), bench.b.deliver(owner, each)) for each in scenario.beside
        )

    def stand_in() -> _Rival:
        return taker.take() if takes else _Rival(bench, bench.b, owner, known)

    journal = act(bench, plan, [visit, deliver_beside], stand_in)
    taker.finish()
    work.wait()
    there = [row.content for row in check_rows(bench, owner)]
    for message, answer in beside:
        hold(answer is Answer.DONE, f"a delivery at a node without faults: {answer}")
        hold(there.count(message) == 1, f"{there.count(message)} of a message delivered meanwhile")
        there.remove(message)
    ledger.check(work.undo(ledger, before, there))
    if scenario.keeps:
        check_restoration(bench, owner, before, there)
    check_end(bench, owner, ledger.uids)
    return journal


def try_delivery(bench: Bench, scenario: Delivery, plan: Plan) -> list[Met]:
    """Deliver a message while something happens, as often as a sender would."""
    owner = begin(bench, scenario)
    answers: list[Answer] = []

    def deliver() -> None:
        answers.append(bench.a.deliver(owner, scenario.message))

    def check() -> None:
        there = [row.content for row in check_rows(bench, owner)]
        in_the_way = scenario.in_the_way(len(answers))
        for number, message in enumerate(scenario.messages):
            is_there = stored(owner, message) in there
            hold(is_there or number < in_the_way, "a message that was there before is lost")
            if is_there:
                there.remove(stored(owner, message))
        broken = plan.has(LASTING) or plan.second_at > 0  # the second try was not answered
        check_delivery(stored(owner, scenario.message), answers, there, broken=broken)

    journal = act(bench, plan, [deliver], lambda: None)
    check()
    revive(bench)
    bench.log_in(bench.a, "warm", "node a does not serve").close()
    if Answer.DONE not in answers:
        deliver()
        if scenario.in_the_way(1):  # a killed node may hold the maildrop until its lease ends
            bench.wait_until(lambda: _is_done(answers, deliver), "no room is made")
        hold(answers[-1] is Answer.DONE, "the second try failed although nothing does any more")
        check()
    check_end(bench, owner, {})
    return journal


def _is_done(answers: list[Answer], deliver: Callable[[], None]) -> bool:
    """Return whether the last try was done; if not, make another one, which replaces an error."""
    if answers[-1] is not Answer.DONE:
        if answers[-1] is Answer.REFUSED:
            answers.pop()
        deliver()
    return answers[-1] is Answer.DONE


def begin(bench: Bench, scenario: Scenario) -> str:
    """Return an owner with a scenario's messages, at a node that is ready."""
    owner = bench.next_owner()
    for message in scenario.messages:
        hold(bench.b.deliver(owner, message) is Answer.DONE, "mail cannot be filled in")
    if isinstance(scenario, Session) and scenario.removed:
        with contextlib.closing(bench.log_in(bench.a, owner, "no login succeeds")) as talk:
            for number in range(scenario.removed):
                hold(talk.ask(f"DELE {number + 1}")[0], "a message cannot be marked")
            hold(talk.ask("QUIT")[0], "messages cannot be removed")
    check_rows(bench, owner)
    bench.warm_up()
    if scenario.is_cold:
        bench.cut_all()
    return owner


def act(
    bench: Bench,
    plan: Plan,
    work: Sequence[Callable[[], None]],
    rival: Callable[[], _Rival | None],
) -> list[Met]:
    """Do the work of node `a` while a fault happens. Raises BreachError: it does not recover."""
    do_with_fault(bench, plan, work, rival)
    killed = any(met.fault in KILLS for met in bench.journal)
    if killed:
        bench.wait_until(lambda: not bench.a.is_alive(), "a killed node is there")
    hold(bench.a.is_alive() is not killed, "the node ended, though nothing killed it")
    if plan.at and not killed:
        bench.await_standing()
    return bench.journal


def do_with_fault(
    bench: Bench,
    plan: Plan,
    work: Sequence[Callable[[], None]],
    rival: Callable[[], _Rival | None],
) -> None:
    """Do some work while a fault happens, and heal it. Where the node is stopped, a rival comes."""
    bench.plan(plan)
    with ThreadPoolExecutor(len(work)) as pool:
        running = [pool.submit(each) for each in work]
        if plan.has(STOPS):
            while not bench.injector.signalled.wait(0.01) and not running[0].done():
                pass
            met = rival() if bench.injector.signalled.is_set() else None
            bench.resume()
        wait_for(running, timeout=WORK)
        if plan.has(STOPS) and met:
            met.finish()
        bench.journal = bench.plan(Plan())
        bench.heal()
        for each in running:
            each.result(0)


class _Rival:
    """A session at another node, which begins while node `a` stands still or has a session."""

    def __init__(self, bench: Bench, node: Node, owner: str, known: Sequence[bytes]) -> None:
        self._known = [reference.wire_lines(message) for message in known]
        self._talk = bench.log_in(node, owner, "the other node keeps its lease")
        hold(self._talk.ask("UIDL")[0], "the rival cannot list")
        self._is_over = False
        self._numbers = [int(line.split()[0]) for line in self._talk.lines()]

    def finish(self) -> None:
        """Read all that was listed, after node `a` has gone on, and leave. That is done once."""
        if self._is_over:
            return
        self._is_over = True
        with contextlib.closing(self._talk):
            for number in self._numbers:
                ok, text = self._talk.ask(f"RETR {number}")
                hold(ok, f"mail was removed under a session: {text}")
                hold(self._talk.lines() in self._known, "the rival got another message")
            self._talk.ask("QUIT")


class _Taker:
    """The rival at node `c`, which comes once, when it is first needed."""

    def __init__(self, bench: Bench, owner: str, known: Sequence[bytes]) -> None:
        self._arguments = bench, bench.c, owner, known
        self._lock = threading.Lock()
        self._rival: _Rival | None = None
        self._pool = ThreadPoolExecutor(1)
        self._beginning: Future[_Rival] | None = None

    def take(self) -> _Rival:
        """Log in, which ends the session of node `a` as soon as it is idle or lost."""
        with self._lock:
            if self._rival is None:
                self._rival = _Rival(*self._arguments)
            return self._rival

    def begin(self) -> None:
        """Begin to log in, and go on meanwhile."""
        self._beginning = self._pool.submit(self.take)

    def finish(self) -> None:
        """End the rival's session, if there is one."""
        if self._beginning is not None:
            self._beginning.result(WORK)
        self._pool.shutdown()
        if self._rival is not None:
            self._rival.finish()


class Work:
    """A delivery that makes room, or an undeletion, by node `b` beside a session."""

    def __init__(self, bench: Bench, owner: str, scenario: Session) -> None:
        self._bench = bench
        self._owner = owner
        self._scenario = scenario
        self._pool = ThreadPoolExecutor(1)
        self._under_way: Future[bool] | None = None
        self._done = False
        bench.new_log(bench.b)  # it has the messages that made room from here on

    def begin(self) -> None:
        """Begin it, unless it is done, and go on meanwhile."""
        self.wait()
        if not self._done:
            self._under_way = self._pool.submit(self._try)

    def wait(self) -> None:
        """Wait for the end of what was begun."""
        if self._under_way is not None:
            self._done = self._under_way.result(WORK)
            self._bench.met["done" if self._done else "refused"] += 1
            self._under_way = None

    def undo(self, ledger: Ledger, before: Sequence[bytes], there: Sequence[bytes]) -> list[bytes]:
        """Return what would be there without the work, which must have been right."""
        self._pool.shutdown()
        if self._scenario.work == "deliver":
            return self._undo_delivery(ledger, there)
        if self._scenario.work == "undelete":
            return self._undo_undeletion(ledger, before, there)
        return list(there)

    def _try(self) -> bool:
        if self._scenario.work == "undelete":
            return undelete(self._bench, self._owner, self._bench.b)
        answer = self._bench.b.deliver(self._owner, MET)
        hold(answer is not Answer.OPEN, "a node without faults gave no answer")
        return answer is Answer.DONE

    def _undo_delivery(self, ledger: Ledger, there: Sequence[bytes]) -> list[bytes]:
        self._bench.wait_until(lambda: self._done or self._try(), "no room is made")
        there = [row.content for row in check_rows(self._bench, self._owner)]
        met = stored(self._owner, MET)
        hold(there.count(met) == 1, f"a message is there {there.count(met)} times")
        lines = [line for line in self._read_log().splitlines() if "by=quota" in line]
        found = [UID.search(line) for line in lines]
        gone = [self._bench.uids[match[1]] for match in found if match]
        hold(gone in ([], list(ledger.messages[:1])), f"{len(gone)} messages made room")
        confirmed = ledger.doomed if ledger.answer is Answer.DONE else ()
        hold(not gone or 1 not in confirmed, "a message was removed twice")
        return [*gone, *(message for message in there if message != met)]

    def _read_log(self) -> str:
        """Return the log of node `b` up to now: a login that follows is its last line."""
        bench, last, text = self._bench, self._bench.next_owner(), ""
        bench.log_in(bench.b, last, "no login succeeds").close()

        def is_whole() -> bool:
            nonlocal text
            text += "".join(bench.new_log(bench.b))
            return f" user={last} " in text

        bench.wait_until(is_whole, "a login is not in the log")
        return text

    def _undo_undeletion(
        self, ledger: Ledger, before: Sequence[bytes], there: Sequence[bytes]
    ) -> list[bytes]:
        removed = before[: self._scenario.removed]
        back = [message for message in removed if message in there]
        hold(back == (removed if self._done else []), f"{len(back)} messages are restored")
        if self._done and ledger.answer is Answer.DONE:  # after the session, it restores these, too
            removed = [*removed, *(ledger.messages[number - 1] for number in ledger.doomed)]
        hold(len(set(there)) == len(there), "a message is there twice")
        return [message for message in there if message not in removed]


def undelete(bench: Bench, owner: str, node: Node) -> bool:
    """Restore all that is kept; return whether that was possible now. Raises BreachError.

    A session may hold the maildrop, or the lease of a killed node, and a busy machine may be slow.
    """
    code, text = bench.command("undelete", owner, node=node)
    later = "is in use" in text or "did not answer in time" in text
    hold(code == 0 or later, f"an undeletion failed: {text}")
    return code == 0


def check_restoration(
    bench: Bench, owner: str, messages: Sequence[bytes], there: Sequence[bytes]
) -> None:
    """See that each message is either there or kept, and comes back by `pop3 undelete`."""
    kept = [row.content for row in bench.kept(owner)]
    check_kept(messages, there, kept)
    hold(not set(kept) & set(there), "a message is there, and kept too")
    if not kept:
        return
    uids = {row.uid for row in bench.kept(owner)} | {row.uid for row in bench.rows(owner)}

    bench.wait_until(lambda: undelete(bench, owner, bench.a), "no undeletion succeeds")
    rows = bench.rows(owner)
    check_restored(set(messages), [row.content for row in rows if row.content in messages])
    hold({row.uid for row in rows} == uids, "a restored message has another unique-id")
    hold(not bench.kept(owner), "a restored message is kept, too")


def check_rows(bench: Bench, owner: str) -> list[Row]:
    """Return what is there, once its sizes, counters and unique-ids are right."""
    rows = bench.rows(owner)
    for row in rows:
        size = reference.size(row.content)
        hold(row.octets == size, f"a row says {row.octets} octets, and the message has {size}")
        known = bench.uids.setdefault(row.uid, row.content)
        hold(known == row.content, f"the unique-id {row.uid} was given twice")
    counted = bench.sql("SELECT messages, octets FROM box WHERE owner = $1", owner)
    expected = (len(rows), sum(row.octets for row in rows))
    found = tuple(counted[0]) if counted else (0, 0)
    hold(found == expected, f"the box counts {found}, and holds {expected}")
    return rows


def check_end(bench: Bench, owner: str, uids: dict[bytes, bytes]) -> None:
    """Let both nodes fetch all that is there, and one delete it; see that nothing is left."""
    _check_node(bench, bench.b, owner, uids, delete=False)
    revive(bench)
    _check_node(bench, bench.a, owner, uids, delete=True)
    left = check_rows(bench, owner)
    hold(not left, f"{len(left)} messages are there after all were deleted")
    bench.wait_until(lambda: not bench.leases(owner), "a lease is left")
    for line in bench.new_log(bench.a):
        hold("event=incident" not in line, f"an unforeseen error: ...{line[-400:]}")


def _check_node(
    bench: Bench, node: Node, owner: str, uids: dict[bytes, bytes], *, delete: bool
) -> None:
    with contextlib.closing(bench.log_in(node, owner, "no login succeeds")) as talk:
        hold(talk.ask("QUIT")[0], "the next session cannot end")
    there = [row.content for row in bench.rows(owner)]
    with contextlib.closing(Talk(node.connect())) as talk:
        check_next(talk, there, uids, sizes=True, delete=delete, owner=owner)


def revive(bench: Bench) -> None:
    """Start node `a` again, if it was killed."""
    if not bench.a.is_alive():
        bench.start(bench.a)
