"""When the accounts of `pop3 fetch` run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import pytest

from restante.cli.fetching.account import FetchAccount
from restante.cli.fetching.reader import InvalidAccount
from restante.cli.fetching.runs import AccountResult
from restante.cli.fetching.schedule import Schedule
from restante.cli.fetching.stopper import Stopper
from restante.fetch.journal import Journal

SECONDS = 30.0  # after which a test that hangs fails


class Runs:
    """Accounts, and what their runs do. A run counts those that run beside it."""

    def __init__(self, folder: Path, stopper: Stopper) -> None:
        self.folder, self.stopper = folder, stopper
        self.begun: list[str] = []
        self.most = 0
        self._running: list[str] = []
        self._lock = threading.Lock()
        self.does: dict[str, Callable[[], str]] = {}

    def account(self, name: str, mailbox: str = "") -> FetchAccount:
        made = SimpleNamespace(
            name=name, mailbox=(mailbox or name, "host"), journal=self.folder / "fetch.db"
        )
        return cast(FetchAccount, made)

    def run(self, account: FetchAccount | InvalidAccount) -> AccountResult:
        with self._lock:
            self.begun.append(account.name)
            self._running.append(account.name)
            self.most = max(self.most, len(self._running))
        try:
            error = self.does.get(account.name, str)()
        finally:
            with self._lock:
                self._running.remove(account.name)
        return AccountResult(account, error=error)

    def schedule(self, *accounts: FetchAccount, **settings: Any) -> Iterator[str]:
        made = Schedule(accounts, self.run, self.stopper, **settings)
        return (result.account.name for result in made.results())


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    stopper = Stopper()
    with stopper.handling_signals():
        yield Runs(tmp_path, stopper)


def test_a_slow_account_delays_itself_alone(runs: Runs) -> None:
    """The other accounts run while one does not end."""
    slow_may_end = threading.Event()

    def wait() -> str:
        assert slow_may_end.wait(SECONDS)
        return ""

    runs.does["slow"] = wait
    others = [runs.account(name) for name in "abcdef"]
    ended = runs.schedule(runs.account("slow"), *others, at_once=2)
    assert [next(ended) for _ in others] == list("abcdef")
    slow_may_end.set()
    assert list(ended) == ["slow"]


@pytest.mark.parametrize("at_once", [1, 3])
def test_so_many_at_once(runs: Runs, at_once: int) -> None:
    """As many accounts as the user allows run at once, and one alone needs no thread."""
    beside = threading.Barrier(at_once, timeout=SECONDS)
    threads = set()

    def meet() -> str:
        beside.wait()
        threads.add(threading.current_thread())
        return ""

    names = [f"account{n}" for n in range(6)]
    runs.does = dict.fromkeys(names, meet)
    assert sorted(runs.schedule(*map(runs.account, names), at_once=at_once)) == names
    assert runs.most == at_once
    assert (threading.main_thread() in threads) == (at_once == 1)


def test_one_mailbox(runs: Runs) -> None:
    """Two accounts in one mailbox run one after the other: its server accepts one session."""
    names = ["first", "second"]
    accounts = [runs.account(name, "the same") for name in names]
    assert list(runs.schedule(*accounts, runs.account("other"), at_once=3, pause=None)) != []
    assert runs.begun.index("first") < runs.begun.index("second")

    def alone() -> str:
        assert runs.most == 1
        return ""

    runs.most, runs.does = 0, dict.fromkeys(names, alone)
    assert list(runs.schedule(*accounts, at_once=2)) == names


def test_no_thread(runs: Runs) -> None:
    """Where the system allows no more threads, the accounts run one after the other."""
    with patch.object(threading.Thread, "start", side_effect=RuntimeError):
        ended = list(runs.schedule(*map(runs.account, "abc"), at_once=3))
    assert (ended, runs.most) == (list("abc"), 1)


def test_error_in_a_thread(runs: Runs) -> None:
    """An error that no run expects is raised where the results are read."""
    runs.does["a"] = lambda: str(1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(runs.schedule(runs.account("a"), runs.account("b", "another"), at_once=2))


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_failure_lengthens_its_own_pause(runs: Runs, at_once: int) -> None:
    """An account that fails is tried less often, the others as often as before."""
    runs.does["bad"] = lambda: "connect-refused"
    accounts = runs.account("bad"), runs.account("good")
    schedule = Schedule(accounts, runs.run, runs.stopper, at_once=at_once, pause=0.01)
    with patch("restante.cli.fetching.schedule.LONGEST_PAUSE", 36000.0):
        for result in schedule.results():
            if (
                runs.begun.count("good") == 60 and not runs.stopper.stopped
            ):  # a second one interrupts
                signal.raise_signal(signal.SIGTERM)
            assert runs.begun.count("good") <= 61, result
    assert 2 <= runs.begun.count("bad") < 20


def test_no_network(runs: Runs) -> None:
    """Without a network the pause stays, so mail comes soon after the network is back."""
    runs.does["away"] = lambda: "tcp-unreachable"
    ended = runs.schedule(runs.account("away"), runs.account("good"), at_once=1, pause=0.01)
    for _ in range(60):
        next(ended)
    signal.raise_signal(signal.SIGTERM)
    assert list(ended) == []
    assert runs.begun.count("away") >= 20


def test_signals(runs: Runs) -> None:
    """SIGUSR1 ends the pauses, and SIGTERM the runs; the journal knows the next run meanwhile."""

    def next_runs() -> set[bool]:
        with Journal(runs.folder / "fetch.db") as journal:
            return {row.next_run is not None for row in journal.accounts()}

    ended = runs.schedule(runs.account("a"), runs.account("b"), at_once=2, pause=3600.0)
    assert {next(ended), next(ended)} == {"a", "b"}
    signal.raise_signal(signal.SIGUSR1)
    assert {next(ended), next(ended)} == {"a", "b"}
    assert next_runs() == {True}
    signal.raise_signal(signal.SIGTERM)
    assert list(ended) == []
    assert next_runs() == {False}


def test_stopped_while_running(runs: Runs) -> None:
    """After SIGTERM the runs under way end, and no other run begins."""

    def stop() -> str:
        signal.raise_signal(signal.SIGTERM)
        return ""

    runs.does["a"] = stop
    assert list(runs.schedule(*map(runs.account, "abc"), at_once=1)) == ["a"]
