"""The options of the configuration, the mail and the accounts, for administrators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from restante.cli.options import add_options
from restante.cli.options.values import FilePath

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


FILE = FilePath(
    path_type=Path, readable=False
)  # the reader of the file reports a missing permission

DEFAULT_CONFIG = Path("/etc/restante/restante.toml")
"""The place of the configuration in docs/how-to/install.md."""

MAIL_KEYS = {
    "mail": ("mail", "folder"),
    "kind": ("mail", "format"),
    "users": ("accounts", "users"),
}
"""These flags by the keys of the configuration file that they stand for."""


def config_option(text: str) -> Callable[[F], F]:
    """Return --config, whose value is None without it: then the configuration is at its place."""
    return click.option(
        "-c",
        "--config",
        type=FilePath(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=f"{text}  [default: {DEFAULT_CONFIG}]",
    )


required_config_option = click.option(
    "-c",
    "--config",
    "file",
    required=True,
    type=FILE,
    help="Read the configuration from this file.",
)

_OPTIONS = (
    click.option(
        "--mail", type=FILE, metavar="DIR", help="Use DIR/NAME as the maildrop of the account NAME."
    ),
    click.option(
        "--format",
        "kind",
        type=click.Choice(["maildir", "mbox"]),
        help="Set the format of the maildrops.  [default: maildir]",
    ),
    click.option(
        "--users",
        type=FILE,
        metavar="FILE",
        help="Read the accounts from FILE, which `pop3 user` edits.",
    ),
)


def mail_options(command: F) -> F:
    """Give a command --mail, --format and --users."""
    return add_options(command, _OPTIONS)
