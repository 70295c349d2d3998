"""`pop3 fetch import`: notes what another program has fetched, so that it is not fetched again."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restante.cli.errors import CommandFailed, error_reporting
from restante.cli.options.account import AccountCommand, account_options, parse_account
from restante.cli.options.account_file import home_folder
from restante.cli.options.fetch_settings import (
    accounts_with_settings,
    default_journal,
    keep_seconds,
    read_settings,
    state_option,
)
from restante.cli.options.maildrop import open_maildrop
from restante.cli.options.prompts import require_confirmation
from restante.cli.options.values import TEXT, FilePath
from restante.cli.output.terminal import plain

if TYPE_CHECKING:
    from restante.cli.options.account import AccountArgs
    from restante.fetch.imports.comparison import Comparison
    from restante.fetch.imports.programs import Program
    from restante.fetch.imports.records import SourceAccount
    from restante.fetch.imports.state import ProgramState

NAMES = ("getmail", "fetchmail", "mpop", "fdm", "thunderbird")
UNUSABLE, NO_MATCH = 2, 14  # exit codes


class ImportCommand(AccountCommand):
    """A command below one that has arguments of its own."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage without the arguments of `pop3 fetch`."""
        formatter.write_usage("pop3 fetch import", " ".join(self.collect_usage_pieces(ctx)))


@click.command(
    cls=ImportCommand, name="import", short_help="Note what another program has fetched."
)
@click.argument("program", type=click.Choice(NAMES), metavar="PROGRAM")
@click.argument("file", type=FilePath(path_type=Path, dir_okay=False), required=False)
@click.option("--account", "name", type=TEXT, metavar="NAME", help="The account in accounts.toml.")
@click.option(
    "--from", "source", type=TEXT, metavar="USER@HOST", help="The account as FILE names it."
)
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be noted; change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@state_option
@account_options
def import_state(program: str, file: Path | None, **params: Any) -> None:
    """Take over from another program: what it has fetched is not fetched again.

    PROGRAM is getmail, fetchmail, mpop, fdm or thunderbird. The unique-ids in its FILE are compared
    with those of the server. Without FILE, the usual file of the program is read. It is never
    changed. Stop the other program first.
    """
    from restante.diagnosis.wording import messages
    from restante.fetch.imports.programs import PROGRAMS

    own = {key: params.pop(key) for key in ("name", "source", "dry_run", "yes", "state")}
    name = own["name"] or _only_account()
    account = parse_account(name, params)
    found = _compare(PROGRAMS[program], file, account, own["source"] or "")
    _require_match(name, found)
    _show_deletions(name, found)
    if own["dry_run"]:
        click.echo("Nothing was changed.")
        return
    if not own["yes"]:
        question = f"Note {messages(len(found.fetched))} as fetched?"
        require_confirmation(question, "Nothing was changed")
    _note(name, own["state"] or default_journal(), found)


def _only_account() -> str:
    names = accounts_with_settings()
    if len(names) != 1:
        raise click.UsageError("choose the account with --account NAME; see accounts.toml")
    return names[0]


def _compare(program: Program, file: Path | None, account: AccountArgs, wanted: str) -> Comparison:
    """Return what the program has fetched of the messages at the server, after it is shown."""
    from restante.fetch.imports.choice import choose_account
    from restante.fetch.imports.comparison import compare
    from restante.fetch.imports.files import find_file, read_file
    from restante.fetch.imports.state import StateFileError
    from restante.fetch.planner import are_numbers
    from restante.protocol.text import printable_lines

    with error_reporting():
        target = account.locate()
    try:
        place = (wanted.rpartition("@")[0] or target.user, target.host, target.port)
        path = file or find_file(program, os.environ, home_folder(), place)
        state = read_file(program, path)
        _require_messages(state)
        source = choose_account(state.accounts, target.user, target.host, wanted)
    except StateFileError as error:
        raise CommandFailed(f"pop3: {printable_lines(str(error))}", UNUSABLE) from None
    with open_maildrop(account) as drop:
        listed = [(message.number, message.uid) for message in drop]
    if listed and (are_numbers(listed) or not all(uid for _, uid in listed)):
        text = "The unique-ids of this server do not identify messages. Nothing was changed."
        raise CommandFailed(f"FAIL uidl-dup  {text}", NO_MATCH)
    found = compare(state.accounts[source], (uid or "" for _, uid in listed), program.map_uid)
    _show(path, source, state, found)
    return found


def _require_messages(state: ProgramState) -> None:
    """Raise StateFileError: a file has no message, perhaps since it is of another program."""
    from restante.diagnosis.wording import quantity
    from restante.fetch.imports.state import StateFileError

    if not state.accounts:
        skipped = "".join(
            f"; skipped {quantity(lines.count, 'line')}: {reason}"
            for reason, lines in state.skipped.items()
        )
        raise StateFileError(f"the file has no fetched message{skipped}")


def _show(path: Path, source: SourceAccount, state: ProgramState, found: Comparison) -> None:
    from restante.diagnosis.wording import messages, quantity

    known = found.fetched | found.gone
    whose = f" of {plain(str(source))}" if str(source) else ""
    rows = [("file", plain(str(path))), ("read", f"{messages(len(known))}{whose}{_span(known)}")]
    for reason, lines in state.skipped.items():
        first = f"line {lines.first}" if lines.count == 1 else f"the first is line {lines.first}"
        rows.append(("skipped", f"{quantity(lines.count, 'line')}: {reason} ({first})"))
    counts = f"{len(found.fetched)} fetched, {len(found.new)} new"
    rows.append(("server", f"{messages(len(found.fetched) + len(found.new))}: {counts}"))
    if found.ambiguous:
        count = f"{messages(len(found.ambiguous))} with unique-ids that are alike"
        rows.append(("again", f"{count} will be fetched, perhaps again"))
    if found.gone:
        rows.append(("kept", f"{messages(len(found.gone))} that the server does not list now"))
    for label, text in rows:
        click.echo(f"  {label:<9} {text}")


def _require_match(name: str, found: Comparison) -> None:
    if found.new and not found.fetched:
        raise CommandFailed(
            "FAIL uids-changed  The server lists no message of this file; nothing was changed.\n"
            "  why   The file is of another account, the server has moved, or the program has\n"
            "        deleted all that it fetched.\n"
            "  you   If the program deletes what it fetches, no import is necessary:\n"
            f"        pop3 fetch {plain(name)} fetches what is there.\n"
            f"        pop3 fetch {plain(name)} --mark-all treats all messages there as fetched.",
            NO_MATCH,
        )


def _span(known: dict[str, int | None]) -> str:
    times = [seen for seen in known.values() if seen is not None]
    if not times:
        return ", without times" if known else ""
    first, last = (datetime.fromtimestamp(t, UTC).date() for t in (min(times), max(times)))
    return f", fetched on {first}" if first == last else f", fetched from {first} to {last}"


def _show_deletions(name: str, found: Comparison) -> None:
    """Report the messages that the next run deletes at the server by the setting `keep`."""
    from restante.diagnosis.wording import messages

    settings = read_settings(name)
    keep = keep_seconds(settings.keep) if settings else None
    if keep is None:
        return
    now = time.time()
    old = sum((now if seen is None else seen) + keep <= now for seen in found.fetched.values())
    if old:
        click.echo(f"  deletes   {messages(old)} at the server in the next run, by `keep`")


def _note(name: str, path: Path, found: Comparison) -> None:
    from restante.diagnosis.wording import messages
    from restante.fetch.account_lock import lock_account
    from restante.fetch.journal import Journal

    rows = [(uid, None, seen) for uid, seen in (found.fetched | found.gone).items()]
    with (
        error_reporting(),
        lock_account(path.parent / "fetch", name),
        Journal(path) as journal,
    ):
        noted = journal.open_account(name).note_known(rows, stay=False)
    click.echo(f"Noted {messages(noted)} as fetched; {len(rows) - noted} were noted before.")
    click.echo(f"Next: pop3 fetch {plain(name)}")
