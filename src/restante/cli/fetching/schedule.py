"""When the accounts of `pop3 fetch` run: some at once, and again and again if that is required.

A server that is slow, or hangs, delays its own account alone.
"""

from __future__ import annotations

import contextlib
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.fetch.journal import Journal
from restante.net.daemon_threads import DaemonThread
from restante.protocol.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from restante.cli.fetching.account import FetchAccount
    from restante.cli.fetching.reader import InvalidAccount
    from restante.cli.fetching.runs import AccountResult
    from restante.cli.fetching.stopper import Stopper

LONGEST_PAUSE = 3600.0  # seconds between two runs of which the first one failed
NO_NETWORK = frozenset({"dns-temp", "tcp-unreachable"})
"""Failures that cost the server nothing, such as those of a laptop that is not connected."""
JITTER = 0.1  # of a pause: not all programs of the world ask at the full minute


@dataclass(slots=True, eq=False)
class Turn:
    """The next run of an account.

    Attributes:
        account: the account.
        due: when the run begins, by time.monotonic().
        longer: by what the pause before it is longer than it should be, after failures.
    """

    account: FetchAccount | InvalidAccount
    due: float = 0.0
    longer: float = 1.0


class Schedule:
    """The runs of accounts.

    Two accounts in one mailbox never run at once, since its server would reject the second one.
    """

    def __init__(
        self,
        accounts: Sequence[FetchAccount | InvalidAccount],
        run: Callable[[FetchAccount | InvalidAccount], AccountResult],
        stopper: Stopper,
        *,
        at_once: int,
        pause: float | None = None,
    ) -> None:
        """Prepare the runs.

        Args:
            accounts: what is fetched.
            run: runs an account, in a thread unless it is the only one at once. The next run gets
                the account of its result.
            stopper: ends the runs when a signal comes.
            at_once: how many accounts run at once.
            pause: the seconds between two runs of an account; None to run each once.
        """
        self._turns = [Turn(account) for account in accounts]
        self._running: dict[DaemonThread[AccountResult], Turn] = {}
        self._run = run
        self._stopper = stopper
        self._at_once = min(at_once, len(accounts))
        self._pause = pause

    def results(self) -> Iterator[AccountResult]:
        """Run the accounts, and yield how each run ended: none delays the others.

        A signal ends it after the messages under way.
        """
        while True:
            if self._stopper.stopped:
                self._end_pauses()
            for turn in self._turns_to_begin():
                self._turns.remove(turn)
                if self._at_once == 1 or not self._start(turn):
                    yield self._finish(turn, self._run(turn.account))
            if not (self._turns or self._running):
                return
            ended = self._stopper.wait(self._seconds_to_wait())
            if isinstance(ended, DaemonThread):
                yield self._finish(self._running.pop(ended), ended.result())
            elif ended == signal.SIGUSR1:
                for turn in self._turns:
                    turn.due = 0.0

    def _turns_to_begin(self) -> list[Turn]:
        """Return the turns that begin now: those that are due, of mailboxes not in use."""
        now = time.monotonic()
        begins: dict[tuple[str, str], Turn] = {}
        used = {turn.account.mailbox for turn in self._running.values()}
        for turn in sorted(self._turns, key=lambda turn: turn.due):
            if turn.due <= now and turn.account.mailbox not in used:
                begins.setdefault(turn.account.mailbox, turn)
        return list(begins.values())[: self._at_once - len(self._running)]

    def _seconds_to_wait(self) -> float | None:
        """Return the seconds until a turn is due; None if one must end before the next begins."""
        if len(self._running) == self._at_once:
            return None
        now = time.monotonic()
        used = {turn.account.mailbox for turn in self._running.values()}
        due = [turn.due for turn in self._turns if turn.account.mailbox not in used]
        return max(0.0, min(due) - now) if due else None

    def _start(self, turn: Turn) -> bool:
        """Run an account in a thread. Return False if the system allows no more threads."""

        def run() -> AccountResult:
            try:
                return self._run(turn.account)
            finally:
                self._stopper.note_end(thread)

        thread = DaemonThread(run, turn.account.name)
        self._running[thread] = turn
        try:
            thread.start()
        except RuntimeError:
            del self._running[thread]
            return False
        return True

    def _finish(self, turn: Turn, result: AccountResult) -> AccountResult:
        """Plan the next run of an account. A failure at the server makes its pause longer."""
        if self._pause is None:
            return result
        turn.account = result.account
        if self._stopper.stopped:
            _note_next_run(turn.account, None)
            return result
        import random  # a single run needs none

        longest = max(1.0, LONGEST_PAUSE / self._pause)
        if result.error not in NO_NETWORK:
            turn.longer = min(turn.longer * 2, longest) if result.error else 1.0
        seconds = self._pause * turn.longer * (1 + JITTER * random.random())  # noqa: S311  # no secret
        turn.due = time.monotonic() + seconds
        self._turns.append(turn)
        _note_next_run(turn.account, time.time() + seconds)
        return result

    def _end_pauses(self) -> None:
        """Let no more runs begin."""
        if self._pause is not None:
            for turn in self._turns:
                _note_next_run(turn.account, None)
        self._turns.clear()


def _note_next_run(account: FetchAccount | InvalidAccount, moment: float | None) -> None:
    """Note for --status when the next run begins, None for never. The next run reports errors."""
    with contextlib.suppress(RemoteError), Journal(account.journal) as journal:
        journal.open_account(account.name).note_next_run(moment)
