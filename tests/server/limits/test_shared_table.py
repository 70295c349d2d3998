"""Workers share counts, notes and turns in memory, even if one of them dies."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.server.error_replies import GuessesError, LoginDelayError
from restante.server.limits import shared_table
from restante.server.limits.failures import NEVER
from restante.server.limits.process_lock import ProcessLock
from restante.server.limits.shared_limits import SharedCountLimit, SharedLimits
from restante.server.limits.shared_table import SharedCounters, SharedTimestamps
from restante.server.limits.throttle import MAX_AT_ONCE, MEMORY, Throttle

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of other threads

PATIENCE = 60  # seconds; then a process ends whatever it waits for


def in_process(work: Callable[[], object]) -> int:
    """Do something in a process of its own, and return how that ended; 0 is well."""
    return os.waitstatus_to_exitcode(os.waitpid(fork(work), 0)[1])


def fork(work: Callable[[], object]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.alarm(PATIENCE)
        work()
        os._exit(0)
    finally:
        os._exit(1)


def test_what_one_process_counts_is_too_many_for_another() -> None:
    """A count of one process limits the others."""
    counts = SharedCounters(8, 2)
    assert counts.acquire("ann", 2)

    def other() -> None:
        counts.bind_worker(1)
        assert counts.acquire("ann", 2)
        assert not counts.acquire("ann", 2)
        assert counts.acquire("bob", 2)

    assert in_process(other) == 0
    assert not counts.acquire("ann", 2)
    counts.release("ann")
    assert counts.acquire("ann", 2)


def test_dead_process_counts() -> None:
    """The counts of a dead process can be removed, and only those."""
    counts = SharedCounters(8, 2)
    assert counts.acquire("ann", 2)

    def dies() -> None:
        counts.bind_worker(1)
        counts.acquire("ann", 2)
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_process(dies) == -signal.SIGKILL
    assert not counts.acquire("ann", 2)
    counts.clear_worker(1)
    assert counts.acquire("ann", 2)
    assert not counts.acquire("ann", 2)


def test_who_dies_in_his_turn_leaves_it_free() -> None:
    """A process that dies with the lock leaves it free."""
    turn = ProcessLock()
    counts = SharedCounters(8, 2, turn)

    def dies() -> None:
        counts.bind_worker(1)
        with turn:
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_process(dies) == -signal.SIGKILL
    assert counts.acquire("ann", 1)
    assert turn.acquire(0)
    turn.release()


def test_release_while_another_process_counts() -> None:
    """A process counts one out while another one that has the turn is stopped."""
    turn = ProcessLock()
    counts = SharedCounters(8, 2, turn)
    assert counts.acquire("ann", 1)

    def other() -> None:
        counts.bind_worker(0)
        assert not turn.acquire(0)
        counts.release("ann")

    with turn:
        assert in_process(other) == 0
    assert counts.acquire("ann", 1)


def test_limit_over_many_processes() -> None:
    """Many processes together never admit more than the limit."""
    counts = SharedCounters(8, 5)

    def goes_in_and_out(column: int) -> Callable[[], None]:
        def work() -> None:
            counts.bind_worker(column)
            for _ in range(2000):
                if counts.acquire("ann", 1):
                    assert counts.count("ann") == 1
                    counts.release("ann")

        return work

    pids = [fork(goes_in_and_out(column)) for column in range(1, 5)]
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
    assert counts.acquire("ann", 1)


def test_two_locks_no_deadlock() -> None:
    """Two threads of two processes may wait for two locks; fcntl's would report a deadlock."""
    turns = [ProcessLock(), ProcessLock()]

    def both() -> None:
        for turn in turns:
            turn.after_fork()
        failed: list[BaseException] = []

        def one(turn: ProcessLock) -> None:
            try:
                for _ in range(3000):
                    with turn:
                        pass
            except BaseException as error:  # noqa: BLE001
                failed.append(error)

        threads = [threading.Thread(target=one, args=[turn]) for turn in turns]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed

    pids = [fork(both) for _ in range(3)]
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 3


def test_a_full_table_lets_everybody_in() -> None:
    """A full table admits every name and does not break later counts."""
    counts = SharedCounters(shared_table.SLOTS_PER_BUCKET, 1)
    limit = SharedCountLimit(1, counts)
    assert all(limit.acquire(f"user{number}") for number in range(100))
    for number in range(100):
        limit.release(f"user{number}")
    assert limit.acquire("ann")
    assert not limit.acquire("ann")


def test_no_name_stands_in_a_table_in_clear() -> None:
    """The table holds digests, not names."""
    index = shared_table.BucketIndex(8)
    key = index.hash_name("ann@example.com")
    assert len(key) == shared_table.KEY
    assert b"ann" not in key
    index.put(index.choice(key)[0], key)
    assert index.find(key) is not None


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"))))
def test_counts_are_those_of_a_dict(steps: list[tuple[bool, str]]) -> None:
    """The table counts like a dict."""
    counts, model = SharedCounters(64, 2), dict.fromkeys("abc", 0)
    for enters, name in steps:
        if enters:
            assert counts.acquire(name, 3) == (model[name] < 3)
            model[name] = min(3, model[name] + 1)
        else:
            counts.release(name)
            model[name] = max(0, model[name] - 1)


def test_the_oldest_note_goes_where_there_is_no_room() -> None:
    """If there is no room, the oldest timestamp is replaced."""
    timestamps = SharedTimestamps(shared_table.SLOTS_PER_BUCKET)
    users = [f"user{number}" for number in range(shared_table.SLOTS_PER_BUCKET)]
    for time, name in enumerate([*users, "user0", "newcomer"], 1):
        timestamps.add(name, time, time)
    assert timestamps.get("user1") is None
    for name in (
        "user0",
        *(f"user{number}" for number in range(2, shared_table.SLOTS_PER_BUCKET)),
        "newcomer",
    ):
        assert timestamps.get(name) is not None


def test_early_loss_on_a_host_that_was_just_started() -> None:
    """A failure that goes too early is reported in the first minutes of a host, too."""
    timestamps = SharedTimestamps(shared_table.SLOTS_PER_BUCKET)
    names = [f"user{number}" for number in range(shared_table.SLOTS_PER_BUCKET)]
    assert not any(timestamps.add(name, 5.0, since=5.0 - MEMORY) for name in names)
    assert timestamps.add("newcomer", 6.0, since=6.0 - MEMORY)


def test_failures_are_added_up_until_they_are_too_old() -> None:
    """Failures add up until they are too old."""
    timestamps = SharedTimestamps(8)
    assert timestamps.latest() == NEVER
    timestamps.add("ann", 10, since=0)
    timestamps.add("ann", 20, since=5)
    assert timestamps.get("ann") == (2, 20)
    timestamps.add("ann", 50, since=30)
    assert timestamps.get("ann") == (1, 50)
    timestamps.drop("ann")
    assert timestamps.get("ann") is None
    assert timestamps.latest() == 50


def test_failed_login_known_everywhere() -> None:
    """A failed login is known to all processes for a while."""
    now = 1000.0
    everybody = SharedLimits(2, 10, clock=lambda: now)
    throttle = everybody.throttle(count_loopback=False)
    other = everybody.throttle(count_loopback=False)
    assert not throttle.has_recent_failures("192.0.2.1", "ann")
    throttle.note_failure("192.0.2.1", "ann")
    throttle.note_failure("127.0.0.1", "bob")
    assert other.has_recent_failures("192.0.2.1", "ann")
    assert not other.has_recent_failures("192.0.2.2", "ann")
    assert not other.has_recent_failures("127.0.0.1", "bob")
    now += MEMORY + 1
    assert not other.has_recent_failures("192.0.2.1", "ann")
    throttle.note_failure("192.0.2.1", "ann")
    assert other.failures("192.0.2.1", "ann") == (1, now)
    other.clear("192.0.2.1", "ann")
    assert not throttle.has_recent_failures("192.0.2.1", "ann")


def test_guesses_are_counted_everywhere() -> None:
    """Guesses at one worker make those at another wait, and a worker that dies frees its places."""
    everybody = SharedLimits(2, 10)
    one, other = (everybody.throttle(count_loopback=False) for _ in range(2))

    async def guess(throttle: Throttle, number: int) -> None:
        async with throttle.one_at_a_time("192.0.2.1", "ann", b"%d" % number):
            await asyncio.Event().wait()

    async def eight() -> None:
        tasks = [asyncio.create_task(guess(one, number)) for number in range(MAX_AT_ONCE)]
        await asyncio.sleep(0)
        with pytest.raises(GuessesError):
            await guess(other, 8)
        everybody.clear_worker(0)
        last = asyncio.create_task(guess(other, 8))
        await asyncio.sleep(0)
        assert not last.done()
        for task in (*tasks, last):
            task.cancel()

    asyncio.run(eight())


def test_an_old_password_is_known_everywhere() -> None:
    """A wrong password that failed at one worker does not count again at another."""
    everybody = SharedLimits(2, 10)
    one, other = (everybody.throttle(count_loopback=False) for _ in range(2))
    for throttle in (one, other, one):
        throttle.note_failure("192.0.2.1", "ann", b"old")
    assert one.failures("192.0.2.1", "ann")[0] == 1


def test_the_delay_after_a_login_ends() -> None:
    """A user may log in again when the delay is over."""
    now = 1000.0
    delay = SharedLimits(2, 10, clock=lambda: now).login_delay()
    delay.note("ann", 60)
    delay.check("bob", 60)
    with pytest.raises(LoginDelayError):
        delay.check("ann", 60)
    now += 60
    delay.check("ann", 60)
