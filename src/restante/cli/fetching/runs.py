"""A run of an account, and how it ended."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import click

from restante.cli.errors import CommandFailed, format_error
from restante.cli.fetching import report
from restante.cli.output.progress import SharedProgress
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
from restante.protocol.errors import LocalError, RemoteError
from restante.system_errors import describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.cli.fetching.account import FetchAccount
    from restante.cli.fetching.message_log import MessageLog
    from restante.cli.fetching.stopper import Stopper
    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.events import FetchEvent
    from restante.fetch.journal_rows import UndeliveredMessage

FAILURES = (RemoteError, LocalError, click.ClickException, OSError)
"""The failures that end the run of an account, and of no other."""

PARKED = 1  # the exit code if a part failed: messages that are parked, or notify


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


class AccountRunner:
    """Runs accounts, each by itself: threads may do it at once."""

    def __init__(
        self, stopper: Stopper, log: MessageLog | None = None, *, begin: bool = False
    ) -> None:
        """Prepare runs: `stopper` ends them, `log` gets their messages.

        With `begin`, an account may begin a new journal in place of a lost one.
        """
        self._stopper = stopper
        self._log = log
        self._begin = begin
        self.progress = SharedProgress()

    def run(self, account: FetchAccount) -> AccountResult:
        """Run an account, and return how it ended, even if it failed."""
        result = AccountResult(account)
        begun = time.monotonic()
        with result.noting_failure(), account.open_journal(begin=self._begin) as journal:
            self._fetch(result, journal)
        result.seconds = time.monotonic() - begun
        return result

    def _fetch(self, result: AccountResult, journal: AccountJournal) -> None:
        """Run one account, with a bar on a terminal."""
        account = result.account
        connect = partial(account.connect, until=time.monotonic() + account.seconds)
        fetcher = Fetcher(journal, account.open_destinations(journal), connect, account.policy)
        result.summary = fetcher.summary
        try:
            with self._stopper.stopping(fetcher), self.progress.part(account.name) as update:
                total = 0
                for event in fetcher.run():
                    if isinstance(event, SessionPlanned):
                        total = event.octets
                    elif isinstance(event, OctetsReceived):
                        update(min(event.octets, total), total)
                    else:
                        _show(event, result)
                    if self._log is not None:
                        self._log.write(account.name, report.shown_destinations(account), event)
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
