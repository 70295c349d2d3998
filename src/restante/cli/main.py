"""`pop3`: the group of all subcommands, each loaded when it is used."""

from __future__ import annotations

import importlib
from typing import Any

import click

from restante import __version__
from restante.cli.errors import INTERRUPTED, CommandFailed

SUBCOMMANDS = {
    "check": "restante.cli.commands.check:check",
    "probe": "restante.cli.commands.check:probe",
    "discover": "restante.cli.commands.discover:discover",
    "explain": "restante.cli.commands.explain:explain",
    "stat": "restante.cli.commands.ls:stat",
    "ls": "restante.cli.commands.ls:ls",
    "uidl": "restante.cli.commands.ls:uidl",
    "show": "restante.cli.commands.show:show",
    "top": "restante.cli.commands.raw:top",
    "raw": "restante.cli.commands.raw:raw",
    "rm": "restante.cli.commands.rm:rm",
    "verify": "restante.cli.commands.verify:verify",
    "shell": "restante.cli.shell.command:shell",
    "completion": "restante.cli.commands.completion:completion",
    "monitor": "restante.cli.commands.monitor:monitor",
    "expire": "restante.cli.commands.expire:expire",
    "serve": "restante.cli.commands.serve:serve",
    "deliver": "restante.cli.commands.deliver:deliver",
    "user": "restante.cli.commands.user:user",
}


class LazyGroup(click.Group):
    """A group that imports a subcommand only when it is asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take an account where a subcommand should be for a session by hand."""
        first = next((word for word in args if not word.startswith("-")), "")
        if args and args[0] == first and ("@" in first or "://" in first):
            args = ["shell", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the name is click's
        """Return the names of all subcommands."""
        return list(SUBCOMMANDS)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; Ctrl-C or the end of input at a question is an interruption."""
        try:
            return super().invoke(ctx)
        except click.Abort:
            raise CommandFailed("Interrupted.", INTERRUPTED) from None

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the name is click's
        """Return a subcommand."""
        if cmd_name not in SUBCOMMANDS:
            return None
        module, name = SUBCOMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="pop3")
def main() -> None:
    """Serve mail over POP3, and find out why a mail account does not work."""
