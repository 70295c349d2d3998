"""A group of commands in a package of their own, each imported only when it runs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping


class PackageGroup(click.Group):
    """A group whose command NAME is the function `command` of the module `NAME_command`.

    A function of the command's name is not possible: `import` is a word of Python's.
    """

    def __init__(self, *, package: str, lines: Mapping[str, str], **settings: Any) -> None:
        """Make a group of the commands in `package`; `lines` are theirs in the help, by name."""
        super().__init__(**settings)
        self._package = package
        self.lines = lines

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the name is click's
        """Return the names of the commands."""
        return list(self.lines)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the name is click's
        """Import and return a command."""
        if cmd_name not in self.lines:
            return None
        module = importlib.import_module(f"{self._package}.{cmd_name}_command")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # the name is click's
        """Write the commands, without an import of any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.lines.items()))
