"""One try: sessions of a server, and another process that works on the same maildrop.

The process delivers a message that must have room made for it, undeletes messages or lets old ones
expire. Whatever befalls one of the two, and whichever call of it the other comes before, no message
is lost that neither of them may remove.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from faults.client import Talk
from faults.host import Child
from faults.keeping import KeepingMaildir, KeepingMbox
from faults.order import (
    check_deliveries,
    check_expiry,
    check_removals,
    check_room,
    check_undeletions,
)
from faults.promise import Answer, Ledger, check_delivery, hold
from faults.scenarios import Meeting
from faults.shim import Call, Fault, Plan, Shim
from faults.stores import files
from faults.trial import KILLS, Bench, answer_of, check_end, hold_sessions
from restante.storage.maildir.identity import TICK
from support.live import PATIENCE

LONGEST = 0.2  # seconds that a call waits for work, which may itself wait for a lock


@dataclass
class Guest(Ledger):
    """A client that learns from unique-ids which messages a session has.

    `known`: messages by unique-id. Others were delivered meanwhile.
    """

    known: dict[bytes, bytes] = field(default_factory=dict)
    delivered: bytes = b""
    quits: list[tuple[frozenset[bytes], Answer]] = field(default_factory=list)
    is_listed: bool = False
    logins: list[bool] = field(default_factory=list)

    def _log_in(self, talk: Talk) -> bool:
        self.is_listed = False
        self.logins.append(super()._log_in(talk))
        return self.logins[-1]

    def _check(self, verb: str, argument: str, text: str, lines: list[bytes]) -> None:
        if verb == "UIDL" and not self.is_listed:
            uids = [line.split()[1] for line in lines]
            self.messages = [self.known.get(uid, self.delivered) for uid in uids]
            self.is_listed = True
        super()._check(verb, argument, text, lines)

    def _leave(self) -> None:
        super()._leave()
        removed = frozenset(self.messages[number - 1] for number in self.doomed)
        self.quits.append((removed, Answer.OPEN))

    def _hear_of_quit(self, ok: bool, text: str) -> None:
        super()._hear_of_quit(ok, text)
        self.quits[-1] = self.quits[-1][0], self.answer

    def removed(self, *answers: Answer) -> set[bytes]:
        """Return the messages that were marked when QUIT got one of these answers."""
        return {each for removed, answer in self.quits if answer in answers for each in removed}


@dataclass
class Work:
    """The work of the other process, as it reports it."""

    bench: Bench
    meeting: Meeting
    answers: list[Answer] = field(default_factory=list)
    restored: set[bytes] = field(default_factory=set)  # unique-ids

    def ask(self, child: Child) -> Answer:
        """Let a server do it once."""
        message = self.meeting.delivered if self.meeting.work == "deliver" else b""
        report = child.ask(self.meeting.work, message)
        self.answers.append(answer_of(report))
        if report is not None:
            self.restored |= {uid.encode() for uid in report.get("restored", [])}
        return self.answers[-1]


def guest_of(bench: Bench, meeting: Meeting) -> Guest:
    """Begin anew, and return a client that knows the unique-ids of all messages."""
    uids = bench.remove(meeting).uids
    known = {uid: message for message, uid in uids.items()}
    guest = Guest([], dict(uids), takes_over=meeting.take_over, known=known)
    guest.delivered = bench.box.stored(meeting.delivered)
    return guest


def try_meeting(bench: Bench, meeting: Meeting, plan: Plan) -> list[Call]:
    """Hold sessions while another process works, and something befalls one of the two.

    Returns the calls of the one. Raises BreachError.
    """
    guest, work = guest_of(bench, meeting), Work(bench, meeting)
    watched = bench.child(take_over=meeting.take_over, most=meeting.most)
    other = bench.other(take_over=meeting.take_over, most=meeting.most)
    server, worker = (other, watched) if meeting.watches_work else (watched, other)

    def change(how: str, _number: int) -> None:
        assert how == "meet"
        if plan.fault is not Fault.MEET:
            work.ask(worker)

    def hold_all() -> None:
        hold_sessions(server, guest, meeting, change)

    def do_work() -> None:
        bench.met[f"the work: {work.ask(worker).value}"] += plan.fault is Fault.MEET

    bench.shim.plan(bench.root, plan)
    acts = (do_work, hold_all) if meeting.watches_work else (hold_all, do_work)
    with rival_at(bench.shim, plan, acts[1]):
        acts[0]()
    alive = watched.ask("settle") is not None
    other.ask("settle")
    journal = bench.shim.journal()
    bench.shim.heal()
    note_sessions(bench, guest, plan)
    killed = any(call.fault in KILLS for call in journal)
    hold(alive is not killed, "the server ended, though nothing killed it")
    unlocked = any(call.path == bench.box.lock and not call.done for call in journal)
    hold(unlocked or not guest.shared, "an idle session was not ended by the next login")
    check_order(bench, meeting, journal)
    broken = plan.fault in (Fault.FAIL_ON, Fault.READ_ONLY)
    check_meeting(bench, guest, work, broken=broken)
    check_end(other)
    if not killed:
        check_end(watched)
    else:
        bench.drop()
    finish(bench, guest, work, broken=broken)
    bench.check_next_server(guest.uids)
    return journal


@contextlib.contextmanager
def rival_at(shim: Shim, plan: Plan, rival: Callable[[], None]) -> Iterator[None]:
    """Let a rival act while the planned call waits, and go on after it if it waits for a lock."""
    if plan.fault is not Fault.MEET:
        yield
        return
    ended = threading.Event()
    with ThreadPoolExecutor(2) as pool:

        def meet() -> None:
            while not shim.waits:
                if ended.wait(0.0005):
                    return
            acting = pool.submit(rival)
            wait([acting], LONGEST)
            shim.go_on()
            acting.result(PATIENCE)

        meeting = pool.submit(meet)
        try:
            yield
        finally:
            ended.set()
        meeting.result()


def note_sessions(bench: Bench, guest: Guest, plan: Plan) -> None:
    """Count what came of the sessions at meetings: a scenario must try more than one outcome."""
    if plan.fault is Fault.MEET:
        bench.met["a login: granted"] += sum(guest.logins)
        bench.met["a login: refused"] += len(guest.logins) - sum(guest.logins)
        bench.met["a removal: granted"] += bool(guest.removed(Answer.DONE))


def check_order(bench: Bench, meeting: Meeting, journal: Sequence[Call]) -> None:
    """Hold that what must last was synced before its answer. Raises BreachError."""
    if not meeting.watches_work:
        check_removals(journal, bench.box)
    elif meeting.work == "deliver":
        check_deliveries(journal, bench.box)
        check_room(journal, bench.box)
    elif meeting.work == "expire":
        check_expiry(journal, bench.box)
    else:
        assert isinstance(bench.box, KeepingMaildir | KeepingMbox)
        check_undeletions(journal, bench.box.restorations)


def check_meeting(bench: Bench, guest: Guest, work: Work, *, broken: bool) -> None:
    """Hold the promise against the answers to both. Raises BreachError."""
    meeting, there = work.meeting, bench.messages()
    letters = [bench.box.stored(letter.octets) for letter in meeting.letters]
    first_there = {m for n, m in enumerate(letters, 1) if n not in meeting.removed}
    marked = guest.removed(Answer.DONE, Answer.REFUSED, Answer.OPEN)
    lost = first_there - set(there)
    hold(all(there.count(each) <= 1 for each in letters), "a message is there twice")
    bench.check_kept(letters)
    if meeting.work == "undelete":
        hold(lost <= marked, "a message is gone that was not marked")
        restored = {guest.known[uid] for uid in work.restored}
        hold(restored <= {*there, *marked}, "a message was restored, and is not there")
    else:
        hold(not guest.removed(Answer.DONE) & set(there), "a message is there that was removed")
    if meeting.work == "expire":
        due = set(bench.due(meeting))
        hold(lost <= marked | due, "a message is gone that was neither marked nor old")
        hold(Answer.DONE not in work.answers or due <= lost, "an old message has not expired")
    if meeting.work == "deliver":
        check_room_made(bench, guest, work, broken=broken)


def check_room_made(bench: Bench, guest: Guest, work: Work, *, broken: bool) -> None:
    """Hold that only the oldest messages made room, spam first. Raises BreachError."""
    meeting, there = work.meeting, bench.messages()
    letters = [bench.box.stored(letter.octets) for letter in meeting.letters]
    spam, left = spam_of(bench)
    in_the_way = meeting.in_the_way(len(work.answers), spam)
    oldest = letters[: max(0, in_the_way - spam)]
    hold(spam - left <= in_the_way, "more spam is gone than was in the way")
    marked = guest.removed(Answer.DONE, Answer.REFUSED, Answer.OPEN)
    lost = set(letters) - set(there) - marked
    hold(lost <= set(oldest), "a message is gone that was neither marked nor in the way")
    new = [message for message in there if message not in letters]
    fits = broken or not new or meeting.most is None or len(there) + left <= meeting.most
    hold(fits, f"{len(there)} messages and {left} of spam are there")
    check_delivery(guest.delivered, work.answers, new, broken=False)


def spam_of(bench: Bench) -> tuple[int, int]:
    """Return how much spam there was, and how much is left."""
    spam: Sequence[bytes] = getattr(bench.box, "spam", ())
    found = list(files(bench.root).values())
    return len(spam), sum(octets in found for octets in spam)


def finish(bench: Bench, guest: Guest, work: Work, *, broken: bool) -> None:
    """Let the work be done by a server that nothing befalls. Raises BreachError."""
    if work.meeting.work == "expire":
        bench.expire_all(bench.due(work.meeting))
    elif work.meeting.work == "undelete":
        bench.undelete_all()
        hold(sorted(bench.messages()) == sorted(guest.known.values()), "not all is there again")
    elif work.answers[-1:] != [Answer.DONE]:
        work.answers.append(bench.deliver_to_next(work.meeting))
        if work.answers[-1] is not Answer.DONE:
            # A file that changed a moment ago is not removed if its size could not be read.
            time.sleep(TICK / 1e9)
            work.answers[-1] = bench.deliver_to_next(work.meeting)
        hold(work.answers[-1] is Answer.DONE, "the next try failed although nothing fails")
        check_meeting(bench, guest, work, broken=broken)
