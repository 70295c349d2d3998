"""`pop3 misbehave`: the group of its commands, each loaded when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from restante.cli.commands.package_group import PackageGroup

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "serve": "Serve one fault, or all of them.",
    "list": "List the faults.",
    "score": "Run a client at every fault, and judge it.",
}
"""The modules of this package, each with a command of its name, and their lines in the help."""


class MisbehaveGroup(PackageGroup):
    """A group whose first command is the default."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse a fault as an argument of `serve`."""
        if args and args[0] not in (*COMMANDS, *ctx.help_option_names):
            args = ["serve", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and the faults that begin so."""
        from click.shell_completion import CompletionItem

        from restante.misbehave.finding import NAMED

        items = click.Command.shell_complete(self, ctx, incomplete)
        names = {**COMMANDS, **{name: fault.sentence for name, fault in NAMED.items()}}
        items += [
            CompletionItem(name, help=line)
            for name, line in names.items()
            if name.startswith(incomplete)
        ]
        return items


@click.group(
    cls=MisbehaveGroup,
    package="restante.cli.commands.misbehave",
    lines=COMMANDS,
    subcommand_metavar="FAULT... | COMMAND [ARGS]...",
)
def misbehave() -> None:
    """Serve POP3 with one thing wrong, to test clients.

    It is the real server, with one fault. `pop3 misbehave retr-cut` is short for `pop3 misbehave
    serve retr-cut`. `pop3 misbehave list` names the faults, and `pop3 explain NAME` describes one.
    """
