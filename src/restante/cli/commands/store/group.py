"""`pop3 store`: the group of its commands, each loaded when it is used."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "init": "Create or upgrade the tables of a cluster's database.",
    "import": "Import Maildirs or mboxes into the cluster.",
    "export": "Export mail of the cluster to Maildirs.",
    "move": "Move the mail of a user to another database of the cluster.",
    "check": "Compare messages, counters and bodies with each other.",
    "sweep": "Delete the bodies that no message has any more.",
    "status": "Show the nodes, the mail and the replicas of a cluster.",
}
"""The modules of this package, each with a command of its name, and their lines in the help."""


class StoreGroup(click.Group):
    """A group that imports a command only when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the name is click's
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the name is click's
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        # `import` is a word of Python's, so each command is a function `command`
        module = importlib.import_module(f"restante.cli.commands.store.{cmd_name}_command")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # the name is click's
        """Write the commands, without an import of any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=StoreGroup)
def store() -> None:
    """Set up and look after the mail of a cluster.

    The configuration has format = "cluster" in the section [mail].
    """
