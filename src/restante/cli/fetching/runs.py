"""Runs of accounts: one after the other, once or again and again."""

from __future__ import annotations

import contextlib
import queue
import signal
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from restante.cli.errors import CommandFailed, format_error
from restante.cli.fetching import report
from restante.cli.output.progress import Progress
from restante.fetch.events import (
    DoubtSettled,
    MessagesDeleted,
    Notice,
    OctetsReceived,
    RunSummary,
    SessionPlanned,
)
from restante.fetch.fetcher import Fetcher
from restante.fetch.interfaces import Settled
from restante.fetch.journal import Journal
from restante.protocol.errors import LocalError, RemoteError
from restante.system_errors import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from restante.cli.fetching.account import FetchAccount
    from restante.cli.fetching.message_log import MessageLog
    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.events import FetchEvent
    from restante.fetch.journal_rows import UndeliveredMessage

FAILURES = (RemoteError, LocalError, click.ClickException, OSError)
"""The failures that end the run of an account, and of no other."""

PARKED = 1  # the exit code if a part failed: messages that are parked, or notify
LONGEST_PAUSE = 3600.0  # seconds between two runs of which the first one failed
JITTER = 0.1  # of a pause: not all programs of the world ask at the full minute


@dataclass(slots=True)
class AccountResult:
    """How the run of an account ended.

    Attributes:
        account: the account, with its settings.
        summary: what was done, even if the run failed.
        seconds: how long it took.
        error: the id of the failure that ended it, "" for none.
        message: the text of the failure.
        code: the exit code of the run.
        notices: warnings about the server, by their ids.
        undelivered: the messages that stay at the server, parked or too large.
    """

    account: FetchAccount
    summary: RunSummary = field(default_factory=RunSummary)
    seconds: float = 0.0
    error: str = ""
    message: str = ""
    code: int = 0
    notices: dict[str, str] = field(default_factory=dict)
    undelivered: list[UndeliveredMessage] = field(default_factory=list)

    def fail(self, error: BaseException) -> None:
        """Note the failure that ended the run."""
        if isinstance(error, RemoteError):
            failed = format_error(error)
            self.error, self.message, self.code = error.id, failed.message, failed.exit_code
        elif isinstance(error, CommandFailed):
            self.error, self.message, self.code = "failed", error.message, error.exit_code
        else:
            text = describe(error) if isinstance(error, OSError) else str(error)
            self.error, self.message, self.code = "usage", f"FAIL  {text}", 2

    @contextlib.contextmanager
    def noting_failure(self) -> Iterator[None]:
        """Note a failure of the block, so that it does not stop the other accounts."""
        try:
            yield
        except FAILURES as error:
            self.fail(error)


class Stopper:
    """SIGTERM and Ctrl-C end the run after the message under way; SIGUSR1 ends a pause."""

    def __init__(self) -> None:
        self.stopped = False
        self._fetcher: Fetcher | None = None
        # An Event has a lock: a signal that comes while the pause holds it would wait for itself.
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()

    @contextlib.contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Handle the signals in this block."""
        handlers = {
            signal.SIGTERM: self._stop, signal.SIGINT: self._stop, signal.SIGUSR1: self._wake,
        }  # fmt: skip
        before = {number: signal.signal(number, made) for number, made in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def watch(self, fetcher: Fetcher) -> None:
        """Stop this fetcher when a signal comes."""
        self._fetcher = fetcher
        if self.stopped:
            fetcher.stop()

    def pause(self, seconds: float) -> None:
        """Wait, less long if a signal comes."""
        with contextlib.suppress(queue.Empty):
            self._wakes.get(timeout=seconds)
            for _ in range(self._wakes.qsize()):
                self._wakes.get_nowait()

    def _stop(self, *_: Any) -> None:
        if self.stopped:  # the second Ctrl-C does not wait; nothing is lost by it
            raise KeyboardInterrupt
        self.stopped = True
        if self._fetcher is not None:
            self._fetcher.stop()
        self._wakes.put(None)

    def _wake(self, *_: Any) -> None:
        self._wakes.put(None)


def run_once(
    accounts: Sequence[FetchAccount],
    stopper: Stopper,
    log: MessageLog | None = None,
    *,
    begin: bool,
) -> Iterator[AccountResult]:
    """Run each account, and yield how it ended. A failure of one does not stop the others."""
    for account in accounts:
        if stopper.stopped:
            return
        result = AccountResult(account)
        begun = time.monotonic()
        with result.noting_failure(), account.open_journal(begin=begin) as journal:
            _run(result, journal, stopper, log)
        result.seconds = time.monotonic() - begun
        yield result


def run_again_and_again(
    accounts: Sequence[FetchAccount],
    stopper: Stopper,
    pause: float,
    show: Callable[[AccountResult], None],
    log: MessageLog | None = None,
) -> None:
    """Run all accounts with a pause between, until a signal comes. A failure makes it longer."""
    import random  # a single run needs none

    longer = 1.0
    while not stopper.stopped:
        failed = False
        for result in run_once(accounts, stopper, log, begin=False):
            show(result)
            failed = failed or bool(result.error)
        longer = min(longer * 2, max(1.0, LONGEST_PAUSE / pause)) if failed else 1.0
        if not stopper.stopped:
            seconds = pause * longer * (1 + JITTER * random.random())  # noqa: S311  # no secret
            _note_next_run(accounts, time.time() + seconds)
            stopper.pause(seconds)
    _note_next_run(accounts, None)


def _note_next_run(accounts: Sequence[FetchAccount], moment: float | None) -> None:
    """Note for --status when the next run begins, None for never. The next run reports errors."""
    for account in accounts:
        with contextlib.suppress(RemoteError), Journal(account.journal) as journal:
            journal.open_account(account.name).note_next_run(moment)


def _run(
    result: AccountResult, journal: AccountJournal, stopper: Stopper, log: MessageLog | None
) -> None:
    """Run one account, with a bar on a terminal."""
    account = result.account
    connect = partial(account.connect, until=time.monotonic() + account.seconds)
    fetcher = Fetcher(journal, account.open_destinations(journal), connect, account.policy)
    result.summary = fetcher.summary
    stopper.watch(fetcher)
    try:
        with Progress(account.name) as progress:
            total = 0
            for event in fetcher.run():
                if isinstance(event, SessionPlanned):
                    total = event.octets
                elif isinstance(event, OctetsReceived):
                    progress.update(min(event.octets, total), total)
                else:
                    _show(event, result)
                if log is not None:
                    log.write(account.name, report.shown_destinations(account), event)
    except RemoteError as error:
        _end(result, journal, error.id)
        raise
    _end(result, journal, "parked" if fetcher.summary.parked else "ok")
    if fetcher.parked.failure is not None:
        result.fail(fetcher.parked.failure)
    elif fetcher.summary.parked or fetcher.summary.in_doubt:
        result.code = PARKED


def _end(result: AccountResult, journal: AccountJournal, outcome: str) -> None:
    """Note how a run ended, and run the command of `notify`."""
    before = journal.end_run(outcome)
    result.undelivered = journal.undelivered_messages()
    account = result.account
    if account.settings.notify:
        from restante.cli.fetching.notify import notify

        trouble = notify(account.settings.notify, account.name, result.summary, before, outcome)
        if trouble:
            result.notices["fetch-notify"] = trouble
            result.code = PARKED


def _show(event: FetchEvent, result: AccountResult) -> None:
    """Print what a user of --verbose sees, and keep the warnings for the report."""
    if isinstance(event, Notice):
        result.notices[event.id] = event.text
    elif isinstance(event, DoubtSettled) and event.outcome is Settled.UNKNOWN:
        text = f"{event.uid} may be at {event.destination} already; it is fetched again"
        result.notices["fetch-doubt"] = text
    if result.account.args.verbose and not isinstance(event, MessagesDeleted):
        click.echo(report.event_line(event), err=True)
