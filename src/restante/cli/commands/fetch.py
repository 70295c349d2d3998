"""`pop3 fetch`: collects the mail of accounts into other mailboxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from restante.cli.options.account import AccountCommand, account_options
from restante.cli.options.fetch_settings import Duration
from restante.cli.options.size import Size


@click.command(cls=AccountCommand)
@click.argument("names", nargs=-1, metavar="[ACCOUNT]...")
@click.option("--to", multiple=True, metavar="URL", help="Deliver to URL; may be repeated.")
@click.option(
    "--keep",
    type=Duration(),
    metavar="TIME",
    help="Delete mail this long after it was first seen, e.g. 30d.",
)
@click.option("--delete", is_flag=True, help="Delete mail as soon as it is delivered.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--status", is_flag=True, help="Show what the journal says, without a connection.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--mark-all", is_flag=True, help="Treat all messages that are there as fetched.")
@click.option("--match", is_flag=True, help="Find known messages again after a move of the server.")
@click.option("--begin", is_flag=True, help="Begin a new journal in place of a lost one.")
@click.option("--retry", is_flag=True, help="Try parked messages again at once.")
@click.option("--skip", multiple=True, metavar="UID", help="Treat this message as fetched.")
@click.option("--max-size", type=Size(), metavar="SIZE", help="Leave larger messages there.")
@click.option("--since", type=Duration(), metavar="TIME", help="Treat older messages as fetched.")
@click.option("--newest-first", is_flag=True, help="Fetch the newest messages first.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Fetch at most N messages.")
@click.option(
    "--every",
    type=Duration(),
    metavar="TIME",
    help="Fetch again and again with this pause, until SIGTERM.",
)
@click.option("--watch", is_flag=True, help="The same as --every 5m.")
@click.option("--systemd", is_flag=True, help="Print units of systemd that fetch every 5 minutes.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Use FILE as the journal.  [default: ~/.local/state/restante/fetch.db]",
)
@account_options
def fetch(names: tuple[str, ...], **params: Any) -> None:
    """Collect the mail of accounts into other mailboxes: nothing is lost, and nothing comes twice.

    Without ACCOUNT, all accounts of accounts.toml that have a table [NAME.fetch] are fetched.
    """
    from restante.cli.fetching.command import run_command

    run_command(names, params)
