"""Chooses what `pop3 fetch` was asked for, and does it."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

import click

from restante.cli.errors import CommandFailed, error_reporting
from restante.cli.fetching import report
from restante.cli.fetching.account import find_fetch_account
from restante.cli.fetching.marking import mark_fetched, match_messages, plan_run, skip_messages
from restante.cli.fetching.runs import AccountResult, AccountRunner
from restante.cli.fetching.schedule import Schedule
from restante.cli.fetching.stopper import Stopper
from restante.cli.options.account_file import describe_unknown, is_stored
from restante.cli.options.fetch_settings import accounts_with_settings, default_journal
from restante.cli.options.stored_tokens import describe_end
from restante.fetch.journal import Journal, has_journal, move_damaged
from restante.fetch.journal_rows import AccountRuns
from restante.fetch.planner import Plan
from restante.protocol.text import to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from restante.cli.fetching.account import FetchAccount
    from restante.fetch.journal_rows import UndeliveredMessage

EVERY = 300.0  # seconds, for --watch


def run_command(names: tuple[str, ...], params: dict[str, Any]) -> None:
    """Do what the options say. Raises click.ClickException."""
    journal = params["state"] or default_journal()
    if params["systemd"]:
        from restante.cli.fetching.units import systemd_units

        click.echo(systemd_units(), nl=False)
        return
    if params["status"]:
        _print_status(names, journal, as_json=params["as_json"])
        return
    accounts = _find_accounts(names, params, journal)
    if params["begin"] or params["mark_all"]:
        with error_reporting():
            moved = move_damaged(journal)
        if moved is not None:
            click.echo(f"the damaged journal is {moved} now", err=True)
    results = [AccountResult(account) for account in accounts]
    with error_reporting():
        if params["dry_run"]:
            _print_plans(results, as_json=params["as_json"])
        else:
            for result in results:
                with result.noting_failure():
                    _prepare(result.account, params)
    if not params["dry_run"]:
        results = _run(results, params)
    if code := max((result.code for result in results), default=0):
        click.get_current_context().exit(code)


def _find_accounts(
    names: tuple[str, ...], params: dict[str, Any], journal: Path
) -> list[FetchAccount]:
    found = names or tuple(accounts_with_settings())
    if not found:
        text = "name an account, with --to URL, or give accounts of accounts.toml a [NAME.fetch]"
        raise click.UsageError(text)
    accounts = [find_fetch_account(name, params, journal) for name in dict.fromkeys(found)]
    for account in accounts:
        needless = params["mark_all"] or params["dry_run"]
        if not account.destinations and not needless:
            text = f'{account.name}: no destination; use --to URL, or to = "URL" in [NAME.fetch]'
            raise click.UsageError(text)
    return accounts


def _prepare(account: FetchAccount, params: dict[str, Any]) -> None:
    """Do what the journal is asked for before a run."""
    begin = params["begin"] or params["mark_all"]
    wanted = ("mark_all", "since", "match", "retry", "skip", "begin", "delete_big")
    if not any(params[name] for name in wanted):
        return
    with account.open_journal(begin=begin) as journal:
        if params["retry"]:
            journal.retry()
        if params["skip"]:
            click.echo(skip_messages(account, journal, params["skip"]))
        if params["match"]:
            click.echo(match_messages(account, journal))
        if params["delete_big"]:
            from restante.cli.fetching.large_messages import delete_large

            click.echo(delete_large(account, journal, time.time(), yes=params["yes"]))
        if params["mark_all"] or params["since"]:
            click.echo(mark_fetched(account, journal, params["since"]))


def _print_plans(results: Sequence[AccountResult], *, as_json: bool) -> None:
    """Print what a run would do with each account, or why it would fail."""
    width = max(len(result.account.name) for result in results)
    found = []
    for result in results:
        plan = Plan()
        with result.noting_failure():
            plan = plan_run(result.account)
        found.append(report.plan_object(result, plan))
        if not as_json:
            for line in report.plan_lines(result, plan, width):
                click.echo(line)
    if as_json:
        click.echo(to_json(found, indent=2))


def _print_status(names: tuple[str, ...], path: Path, *, as_json: bool) -> None:
    with error_reporting():
        found = list(_read_status(names, path))
    for status, _ in found:
        status["sign_in_ends"] = describe_end(status["account"])
    if as_json:
        click.echo(to_json([status for status, _ in found], indent=2))
        return
    width = max((len(status["account"]) for status, _ in found), default=0)
    for status, undelivered in found:
        for line in report.status_lines(status, undelivered, width):
            click.echo(line)
    if not found:
        click.echo("Nothing was fetched yet.")


def _read_status(
    names: tuple[str, ...], path: Path
) -> Iterator[tuple[dict[str, Any], list[UndeliveredMessage]]]:
    """Yield what is known of each account: those of the journal, and then those without a run."""
    left = dict.fromkeys(names or accounts_with_settings())
    if has_journal(path):
        with Journal(path) as journal:
            for runs in journal.accounts():
                if not names or runs.name in left:
                    left.pop(runs.name, None)
                    account = journal.open_account(runs.name)
                    undelivered = account.undelivered_messages()
                    yield report.status_object(runs, account.messages(), undelivered), undelivered
    for name in left:
        if "@" not in name and not is_stored(name):
            raise click.UsageError(describe_unknown(name))
        yield report.status_object(AccountRuns(name, None, None, None), {}, ()), []


def _run(prepared: Sequence[AccountResult], params: dict[str, Any]) -> list[AccountResult]:
    """Run the accounts that could be prepared, and return how all ended."""
    width = max(len(result.account.name) for result in prepared)
    log = None
    if params["log"]:
        from restante.cli.fetching.message_log import MessageLog

        log = MessageLog(params["log"])
    stopper = Stopper()
    runner = AccountRunner(stopper, log, begin=params["begin"])
    failed = [result for result in prepared if result.error]
    ready = [result.account for result in prepared if not result.error]
    pause = params["every"] or (EVERY if params["watch"] else None)
    if params["mark_all"] or (pause and failed):
        ready = []
    at_once = 1 if _must_take_turns(ready, params) else params["jobs"]
    schedule = Schedule(ready, runner.run, stopper, at_once=at_once, pause=pause)
    watches = bool(ready and pause)
    results = []
    with stopper.handling_signals():
        for result in itertools.chain(failed, schedule.results()):
            if not watches:
                results.append(result)
            with runner.progress.hidden():
                if not params["as_json"]:
                    _print(result, width)
                elif watches:
                    click.echo(to_json(report.result_object(result)))
    if params["as_json"] and results:
        names = [result.account.name for result in prepared]
        by_name = {result.account.name: result for result in results}
        results = [by_name[name] for name in names if name in by_name]
        click.echo(to_json([report.result_object(made) for made in results], indent=2))
    if stopper.stopped and not any(result.code for result in results) and not watches:
        raise CommandFailed("Interrupted; the next run goes on.", 130)
    return results


def _must_take_turns(accounts: Sequence[FetchAccount], params: dict[str, Any]) -> bool:
    """Return whether a person, or a pipe, gives the accounts what they need one by one."""
    asks = params["password_stdin"] or any(account.args.may_ask for account in accounts)
    return asks or any(account.args.verbose for account in accounts)  # lines without a name


def _print(result: AccountResult, width: int) -> None:
    for line in report.result_lines(result, width):
        click.echo(line)
