"""`pop3 fetch`: collects the mail of accounts into other mailboxes."""

from __future__ import annotations

from typing import Any

import click

from restante.cli.options.account import AccountCommand, account_options
from restante.cli.options.fetch_settings import state_option
from restante.cli.options.size import Size
from restante.cli.options.times import Duration
from restante.cli.options.values import TEXT


class FetchCommand(AccountCommand, click.Group):
    """The command, and `pop3 fetch import`, whose arguments and options are others."""

    allow_interspersed_args = True  # options may follow the accounts

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the name is click's
        """Return the names of the commands below it."""
        return ["import"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the name is click's
        """Import and return a command below it."""
        from restante.cli.commands.fetch_import import import_state

        return import_state if cmd_name == "import" else None

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Return the context of `import` if that is the first word: else it is an account."""
        if args[:1] == ["import"]:
            from restante.cli.commands.fetch_import import import_state

            return import_state.make_context(f"{info_name} import", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the arguments of the command itself."""
        return click.Command.collect_usage_pieces(self, ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, and the commands below it."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


@click.command(cls=FetchCommand, invoke_without_command=True)
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
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the result as JSON; with --every, a line of it for each run.",
)
@click.option("--mark-all", is_flag=True, help="Treat all messages that are there as fetched.")
@click.option("--match", is_flag=True, help="Find known messages again after a move of the server.")
@click.option("--begin", is_flag=True, help="Begin a new journal in place of a lost one.")
@click.option("--retry", is_flag=True, help="Try parked messages again at once.")
@click.option(
    "--skip", type=TEXT, multiple=True, metavar="UID", help="Treat this message as fetched."
)
@click.option(
    "--max-size", type=Size(), metavar="SIZE", help="Leave larger messages at the server."
)
@click.option(
    "--big",
    type=click.Choice(["leave", "headers"]),
    help="Deliver only the headers of messages over --max-size, or leave them.  [default: leave]",
)
@click.option(
    "--delete-big",
    is_flag=True,
    help="Delete messages over --max-size that were not fetched, after a question.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--since", type=Duration(), metavar="TIME", help="Treat older messages as fetched.")
@click.option("--newest-first", is_flag=True, help="Fetch the newest messages first.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Fetch at most N messages.")
@click.option(
    "--every",
    type=Duration(),
    metavar="TIME",
    help="Fetch again and again with this pause, until SIGTERM.",
)
@click.option(
    "--log",
    type=TEXT,
    metavar="FILE",
    help="Append a line for each message to FILE; - is standard error.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    metavar="N",
    help="Fetch N accounts at once.",
)
@click.option("--watch", is_flag=True, help="Fetch every five minutes, until SIGTERM.")
@click.option("--systemd", is_flag=True, help="Print units of systemd that fetch every 5 minutes.")
@state_option
@account_options
def fetch(names: tuple[str, ...], **params: Any) -> None:
    """Collect the mail of accounts into other mailboxes.

    No message is lost, and none comes twice into a Maildir, an mbox or an IMAP folder.

    Without ACCOUNT, all accounts of accounts.toml that have a table [NAME.fetch] are fetched.
    `pop3 fetch import` notes what another program has fetched.
    """
    from restante.cli.fetching.command import run_command

    run_command(names, params)
