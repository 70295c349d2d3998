"""Chooses what `pop3 fetch` was asked for, and does it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import click

from restante.cli.errors import CommandFailed, error_reporting
from restante.cli.fetching import report
from restante.cli.fetching.account import find_fetch_account
from restante.cli.fetching.marking import mark_fetched, match_messages, plan_run, skip_messages
from restante.cli.fetching.runs import Stopper, run_again_and_again, run_once
from restante.cli.options.account_file import describe_unknown, is_stored
from restante.cli.options.fetch_settings import accounts_with_settings, default_journal
from restante.cli.options.stored_tokens import describe_end
from restante.fetch.journal import Journal, has_journal, move_damaged
from restante.fetch.journal_rows import AccountRuns
from restante.protocol.text import to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from restante.cli.fetching.account import FetchAccount
    from restante.cli.fetching.runs import AccountResult
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
    with error_reporting():
        for account in accounts:
            _prepare(account, params)
    if params["dry_run"]:
        with error_reporting():
            _print_plans(accounts, as_json=params["as_json"])
    elif not params["mark_all"]:
        _run(accounts, params)


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
    if not any(params[name] for name in wanted) or params["dry_run"]:
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


def _print_plans(accounts: Sequence[FetchAccount], *, as_json: bool) -> None:
    width = max(len(account.name) for account in accounts)
    found = []
    for account in accounts:
        plan = plan_run(account)
        found.append(
            {
                "account": account.name,
                "fetch": [message._asdict() for message in plan.fetch],
                "delete": [message._asdict() for message in plan.delete],
                "waiting": [message._asdict() for message in plan.waiting],
                "too_large": [message._asdict() for message in plan.too_large],
            }
        )
        if not as_json:
            click.echo(report.plan_line(account, plan, width))
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


def _run(accounts: Sequence[FetchAccount], params: dict[str, Any]) -> None:
    width = max(len(account.name) for account in accounts)
    stopper = Stopper()
    log = None
    if params["log"]:
        from restante.cli.fetching.message_log import MessageLog

        log = MessageLog(params["log"])
    pause = params["every"] or (EVERY if params["watch"] else None)
    with stopper.handling_signals(), contextlib.ExitStack() as shown:
        if pause:
            run_again_and_again(accounts, stopper, pause, lambda result: _print(result, width), log)
            return
        results = []
        for result in run_once(accounts, stopper, log, begin=params["begin"]):
            results.append(result)
            if not params["as_json"]:
                _print(result, width)
        if params["as_json"]:
            shown.callback(
                click.echo, to_json([report.result_object(made) for made in results], indent=2)
            )
    code = max((result.code for result in results), default=0)
    if stopper.stopped and not code:
        raise CommandFailed("Interrupted; the next run goes on.", 130)
    if code:
        click.get_current_context().exit(code)


def _print(result: AccountResult, width: int) -> None:
    for line in report.result_lines(result, width):
        click.echo(line, err=False)
