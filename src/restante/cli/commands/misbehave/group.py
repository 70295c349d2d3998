"""`pop3 misbehave`: the group of its commands, each loaded when it is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "serve": "Serve one fault, or all of them.",
    "list": "List the faults.",
    "score": "Run a client at every fault, and judge it.",
}
"""The modules of this package, each with a command of its name, and their lines in the help."""


class MisbehaveGroup(click.Group):
    """A group that imports a command only when it runs. Its first one is the default."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take a fault for an argument of `serve`."""
        if args and args[0] not in (*COMMANDS, *ctx.help_option_names):
            args = ["serve", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the name is click's
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the name is click's
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"restante.cli.commands.misbehave.{cmd_name}_command")
        command: click.Command = module.command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and the faults that begin so."""
        from click.shell_completion import CompletionItem

        from restante.misbehave.finding import NAMED

        found = click.Command.shell_complete(self, ctx, incomplete)
        names = {**COMMANDS, **{name: fault.sentence for name, fault in NAMED.items()}}
        found += [
            CompletionItem(name, help=line)
            for name, line in names.items()
            if name.startswith(incomplete)
        ]
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # the name is click's
        """Write the commands, without an import of any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=MisbehaveGroup, subcommand_metavar="FAULT... | COMMAND [ARGS]...")
def misbehave() -> None:
    """Serve POP3 with one thing wrong, to test clients.

    It is the real server, with one fault. `pop3 misbehave retr-cut` is short for `pop3 misbehave
    serve retr-cut`. `pop3 misbehave list` names the faults, and `pop3 explain NAME` describes one.
    """
