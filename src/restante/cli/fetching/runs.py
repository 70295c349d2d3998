"""A run of an account, and how it ended."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from restante.cli.errors import CommandFailed, format_error
from restante.cli.fetching import report
from restante.cli.fetching.preparation import prepare
from restante.cli.output.progress import SharedProgress
from restante.cli.output.terminal import plain_lines, shorten_lines
from restante.cli.program import DISK, shortage
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
    from restante.cli.fetching.reader import AccountReader, InvalidAccount
    from restante.cli.fetching.stopper import Stopper
    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.events import FetchEvent
    from restante.fetch.journal_rows import UndeliveredMessage

PARKED = 1  # the exit code if a part failed: messages that are parked, or notify


@dataclass(slots=True)
class AccountResult:
    """How the run of an account ended.

    Attributes:
        account: the account, with its settings.
        prepared: what was done before the run, by the options.
        ran: whether it was fetched, or only prepared.
        summary: what was done, even if the run failed.
        seconds: how long it took.
        error: the id of the failure that ended it, "" for none.
        message: the text of the failure.
        code: the exit code of the run.
        notices: warnings about the server, by their ids.
        undelivered: the messages that stay at the server, parked or too large.
    """

    account: FetchAccount | InvalidAccount
    prepared: list[str] = field(default_factory=list)
    ran: bool = True
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
        elif isinstance(error, LocalError | click.ClickException):
            self.error, self.message, self.code = "usage", f"FAIL  {error}", 2
        elif text := shortage(error):
            self.error, self.message, self.code = "shortage", f"FAIL  {text}", DISK
        elif isinstance(error, OSError):
            self.error, self.message, self.code = "usage", f"FAIL  {describe(error)}", 2
        else:
            from restante.cli.fetching.bugs import BUG, describe_bug

            text = describe_bug(error, self.account.journal.parent / "fetch", self.account.name)
            self.error, self.message, self.code = "bug", text, BUG
        self.message = plain_lines(shorten_lines(self.message))

    @contextlib.contextmanager
    def noting_failure(self) -> Iterator[None]:
        """Note a failure of the block, even a bug, so that it does not stop the other accounts."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # each of them is reported
            self.fail(error)


class AccountRunner:
    """Runs accounts, each by itself: threads may do it at once."""

    def __init__(
        self,
        reader: AccountReader,
        params: dict[str, Any],
        stopper: Stopper,
        log: MessageLog | None = None,
    ) -> None:
        """Prepare runs by the options in `params`.

        `stopper` ends the runs, and `log` gets their messages.
        """
        self._reader = reader
        self._params = params
        self._stopper = stopper
        self._log = log
        self._prepared: set[str] = set()
        self.progress = SharedProgress()

    def run(self, account: FetchAccount | InvalidAccount) -> AccountResult:
        """Run an account, and return how it ended, even if it failed.

        An account runs only once it is prepared. The result has the account as it is now.
        """
        result = AccountResult(account, ran=not self._params["mark_all"])
        begun = time.monotonic()
        with result.noting_failure(), self._reader.in_context():
            result.account = valid = self._reader.renew(account)
            with valid.open_journal(begin=self._begins(valid)) as journal:
                self._prepare(valid, journal, result.prepared)
                if result.ran:
                    self._fetch(valid, result, journal)
        if result.error:
            self._reader.forget(account.name)
        result.seconds = time.monotonic() - begun
        return result

    def _begins(self, account: FetchAccount) -> bool:
        """Return whether an account may begin a new journal in place of a lost one: once."""
        wanted = self._params["begin"] or self._params["mark_all"]
        return wanted and account.name not in self._prepared

    def _prepare(self, account: FetchAccount, journal: AccountJournal, said: list[str]) -> None:
        """Do what the options say before the first run, and add to `said` what was done."""
        if account.name in self._prepared:
            return
        for text in prepare(account, journal, self._params):
            said.append(text)  # noqa: PERF402  # those before a failure count, too
        self._prepared.add(account.name)

    def _fetch(self, account: FetchAccount, result: AccountResult, journal: AccountJournal) -> None:
        """Fetch one account, and note in the journal how that ended."""
        connect = partial(account.connect, until=time.monotonic() + account.seconds)
        try:
            fetcher = Fetcher(journal, account.open_destinations(journal), connect, account.policy)
            result.summary = fetcher.summary
            self._show_events(account, fetcher, result)
        except Exception as error:  # noqa: BLE001  # as in `noting_failure`
            result.fail(error)
            with contextlib.suppress(RemoteError):  # the first failure is the cause
                _end(account, result, journal, result.error)
            return
        _end(account, result, journal, "parked" if fetcher.summary.parked else "ok")
        if fetcher.parked.failure is not None:
            result.fail(fetcher.parked.failure)
        elif fetcher.summary.parked or fetcher.summary.in_doubt:
            result.code = PARKED

    def _show_events(self, account: FetchAccount, fetcher: Fetcher, result: AccountResult) -> None:
        """Run a fetcher to its end, with a bar on a terminal."""
        with self._stopper.stopping(fetcher), self.progress.part(account.name) as update:
            total = 0
            for event in fetcher.run():
                if isinstance(event, SessionPlanned):
                    total = event.octets
                elif isinstance(event, OctetsReceived):
                    update(min(event.octets, total), total)
                else:
                    _show(event, result, verbose=account.args.verbose)
                if self._log is not None:
                    self._log.write(account.name, report.shown_destinations(account), event)


def _end(
    account: FetchAccount, result: AccountResult, journal: AccountJournal, outcome: str
) -> None:
    """Note how a run ended, and run the command of `notify`."""
    before = journal.end_run(outcome)
    result.undelivered = journal.undelivered_messages()
    if account.settings.notify:
        from restante.cli.fetching.notify import notify

        trouble = notify(account.settings.notify, account.name, result.summary, before, outcome)
        if trouble:
            result.notices["fetch-notify"] = trouble
            result.code = result.code or PARKED


def _show(event: FetchEvent, result: AccountResult, *, verbose: bool) -> None:
    """Print what a user of --verbose sees, and keep the warnings for the report."""
    if isinstance(event, Notice):
        result.notices[event.id] = event.text
    elif isinstance(event, DoubtSettled) and event.outcome is Settled.UNKNOWN:
        more = len(set(result.summary.in_doubt)) - 1
        what = f"{event.uid} and {more} more may be" if more else f"{event.uid} may be"
        again = "they are" if more else "it is"
        text = f"{what} at {report.shown_url(event.destination)} already; {again} fetched again"
        result.notices["fetch-doubt"] = text
    if verbose and not isinstance(event, MessagesDeleted):
        click.echo(report.event_line(event), err=True)
