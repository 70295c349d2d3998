"""Chooses what `pop3 fetch` was asked for, and does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from restante.cli.errors import CommandFailed, error_reporting
from restante.cli.fetching import report
from restante.cli.fetching.account import FetchAccount
from restante.cli.fetching.marking import plan_run
from restante.cli.fetching.reader import AccountReader, InvalidAccount
from restante.cli.fetching.runs import AccountResult, AccountRunner
from restante.cli.fetching.schedule import Schedule
from restante.cli.fetching.stopper import Stopper
from restante.cli.options.account_file import describe_unknown, load_entries
from restante.cli.options.fetch_settings import accounts_with_settings, default_journal
from restante.cli.options.stored_tokens import describe_end
from restante.cli.output.results import Results
from restante.cli.output.units import widest
from restante.cli.program import INTERRUPTED
from restante.fetch.journal import Journal, has_journal, move_damaged
from restante.fetch.journal_rows import AccountRuns
from restante.fetch.planner import Plan
from restante.protocol.text import printable, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from restante.fetch.journal_rows import UndeliveredMessage

EVERY = 300.0  # seconds, for --watch

SHOWING = ("systemd", "status", "dry_run")
CHANGING = ("mark_all", "begin", "match", "retry", "skip", "delete_big", "since")
REPEATING = ("every", "watch")
"""Options that show something and change nothing, those that change the journal or the server, and
those that go on, by the names of their values.
"""


def run_command(names: tuple[str, ...], params: dict[str, Any]) -> None:
    """Do what the options say. Raises click.ClickException."""
    _require_utf8((*names, *params["to"], *params["skip"]))
    _reject_contradictions(params)
    if params["systemd"]:
        from restante.cli.fetching.units import systemd_units

        click.echo(systemd_units(params["state"]), nl=False)
        return
    journal = params["state"] or default_journal()
    if params["status"]:
        _print_status(names, journal, as_json=params["as_json"])
        return
    reader = AccountReader(params, journal)
    accounts = reader.find_all(names)
    if params["begin"] or params["mark_all"]:
        with error_reporting():
            moved = move_damaged(journal)
        if moved is not None:
            click.echo(f"the damaged journal is {moved} now", err=True)
    if params["dry_run"]:
        with error_reporting():
            results = _print_plans(reader, accounts, as_json=params["as_json"])
    else:
        results = _run(reader, accounts, params)
    if code := max((result.code for result in results), default=0):
        click.get_current_context().exit(code)


def _reject_contradictions(params: dict[str, Any]) -> None:
    """Reject options of which one would have no effect. Raises click.UsageError."""
    if params["delete"] and params["keep"] is not None:
        raise click.UsageError("--delete and --keep exclude each other; use one")
    if params["every"] == 0:
        raise click.UsageError("--every requires a pause such as 5m")
    if params["mark_all"] and (params["every"] or params["watch"]):
        raise click.UsageError("--mark-all runs once; omit --every and --watch")
    if params["watch"] and params["every"]:
        raise click.UsageError("--watch and --every exclude each other; use one")
    typed = _typed_values()
    shows = [name for name in SHOWING if name in typed]
    if len(shows) > 1:
        raise click.UsageError(f"{' and '.join(map(_flag, shows))} exclude each other; use one")
    if params["systemd"] and typed - {"systemd", "state"}:
        raise click.UsageError("--systemd prints units for all accounts; only --state may be added")
    useless = next((name for name in (*CHANGING, *REPEATING) if name in typed), None)
    if shows and useless:
        showing = _flag(shows[0])
        text = f"{showing} changes nothing, and runs once"
        raise click.UsageError(f"{text}; omit {_flag(useless)}, or omit {showing}")


def _typed_values() -> set[str]:
    """Return the names of the values that the command line has."""
    context = click.get_current_context()
    typed = click.core.ParameterSource.COMMANDLINE
    return {name for name in context.params if context.get_parameter_source(name) is typed}


def _flag(name: str) -> str:
    """Return an option as it is typed, by the name of its value."""
    return f"--{name.replace('_', '-')}"


def _require_utf8(words: Iterable[str]) -> None:
    """Reject what the journal cannot keep. Raises click.UsageError."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            text = f'"{printable(word)}" is not text in UTF-8; use another name, or a link to it'
            raise click.UsageError(text) from None


def _print_plans(
    reader: AccountReader, accounts: Sequence[FetchAccount | InvalidAccount], *, as_json: bool
) -> list[AccountResult]:
    """Print what a run would do with each account, or why it would fail."""
    width = widest(account.name for account in accounts)
    results = [AccountResult(account) for account in accounts]
    found = []
    for result in results:
        plan = Plan()
        with result.noting_failure():
            plan = plan_run(reader.renew(result.account))
        found.append(report.plan_object(result, plan))
        if not as_json:
            for line in report.plan_lines(result, plan, width):
                click.echo(line)
    if as_json:
        click.echo(to_json(found, indent=2))
    return results


def _print_status(names: tuple[str, ...], path: Path, *, as_json: bool) -> None:
    with error_reporting():
        rows = list(_read_status(names, path))
    for status, _ in rows:
        status["sign_in_ends"] = describe_end(status["account"])
    if as_json:
        click.echo(to_json([status for status, _ in rows], indent=2))
        return
    width = widest(status["account"] for status, _ in rows)
    for status, undelivered in rows:
        for line in report.status_lines(status, undelivered, width):
            click.echo(line)
    if not rows:
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
        if "@" not in name and name not in load_entries():
            raise click.UsageError(describe_unknown(name))
        yield report.status_object(AccountRuns(name, None, None, None), {}, ()), []


def _run(
    reader: AccountReader,
    accounts: Sequence[FetchAccount | InvalidAccount],
    params: dict[str, Any],
) -> list[AccountResult]:
    """Run the accounts, and return how all ended; with --every, how none did."""
    width = widest(account.name for account in accounts)
    log = None
    if params["log"]:
        from restante.cli.fetching.message_log import MessageLog

        log = MessageLog(params["log"])
    stopper = Stopper()
    runner = AccountRunner(reader, params, stopper, log)
    pause = params["every"] or (EVERY if params["watch"] else None)
    must_take_turns = _must_take_turns(accounts, params)
    reader.may_renew = not (must_take_turns or params["password"])
    at_once = 1 if must_take_turns else params["jobs"]
    schedule = Schedule(accounts, runner.run, stopper, at_once=at_once, pause=pause)
    results = []
    with Results() as printed, stopper.handling_signals():
        for result in schedule.results():
            if not pause:
                results.append(result)
            if not (params["as_json"] and results):
                with runner.progress.hidden():
                    _print(result, width, params, printed)
    if params["as_json"] and results:
        by_name = {result.account.name: result for result in results}
        results = [by_name[account.name] for account in accounts if account.name in by_name]
        click.echo(to_json([report.result_object(made) for made in results], indent=2))
    if stopper.stopped and not any(result.code for result in results) and not pause:
        raise CommandFailed("Interrupted; the next run goes on.", INTERRUPTED)
    return results


def _must_take_turns(
    accounts: Sequence[FetchAccount | InvalidAccount], params: dict[str, Any]
) -> bool:
    """Return whether a person, or a pipe, gives the accounts what they need one by one."""
    asks = params["password_stdin"] or (params["delete_big"] and not params["yes"])
    valid = [account.args for account in accounts if isinstance(account, FetchAccount)]
    return asks or any(args.may_ask or args.verbose for args in valid)  # lines without a name


def _print(result: AccountResult, width: int, params: dict[str, Any], printed: Results) -> None:
    """Print the result of an account. If that is not possible, other accounts go on."""
    if params["as_json"]:
        printed.echo(to_json(report.result_object(result)))
        return
    for line in report.result_lines(result, width):
        printed.echo(line)
