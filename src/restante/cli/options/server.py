"""The options of the configuration, the mail and the accounts, for administrators."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from restante.cli.options import add_options
from restante.cli.options.values import FilePath

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

F = TypeVar("F", bound="Callable[..., Any]")


FILE = FilePath(path_type=Path, readable=False)  # its reader reports a missing permission

DEFAULT_CONFIG = Path("/etc/restante/restante.toml")
"""The place of the configuration in docs/how-to/install.md."""

MAIL_KEYS = {
    "mail": ("mail", "folder"),
    "kind": ("mail", "format"),
    "users": ("accounts", "users"),
}
"""These flags by the keys of the configuration file that they stand for."""


def read_flags(
    params: Mapping[str, object], keys: Mapping[str, tuple[str, str]]
) -> dict[str, dict[str, object]]:
    """Return the flags that are set, by section and key; their paths are absolute."""
    flags: dict[str, dict[str, object]] = {}
    for flag, value in params.items():
        if value:
            section, key = keys[flag]
            flags.setdefault(section, {})[key] = _absolute(value)
    return flags


def _absolute(value: object) -> object:
    """Return the value of a flag; its paths are relative to the working directory."""
    match value:
        case Path():
            return value.absolute()
        case tuple():
            return list(value)
    return value


def find_default(missing: str = "'-c' / '--config'") -> Path:
    """Return the configuration at its usual place.

    Raises click.UsageError: it is missing, and so are these options.
    """
    if not os.path.exists(DEFAULT_CONFIG):  # without permission, too
        raise click.UsageError(
            f"Missing option {missing}: {DEFAULT_CONFIG} does not exist, or you may not read it."
        )
    return DEFAULT_CONFIG


def config_option(text: str, *, find: bool = True) -> Callable[[F], F]:
    """Return --config, as `file`: the configuration that is named, or the one at its usual place.

    Without `find`, the value is None if none is named.
    """

    def choose(_: click.Context, __: click.Parameter, named: Path | None) -> Path | None:
        return named or (find_default() if find else None)

    return click.option(
        "-c",
        "--config",
        "file",
        type=FILE,
        metavar="FILE",
        callback=choose,
        help=f"{text}  [default: {DEFAULT_CONFIG}]",
    )


named_config_option = click.option(
    "-c",
    "--config",
    "file",
    type=FILE,
    metavar="FILE",
    help="Read the configuration from this file.",
)
"""--config, as `file`, of commands that need none: None if none is named."""

read_config_option = config_option("Read the configuration from this file.")

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
