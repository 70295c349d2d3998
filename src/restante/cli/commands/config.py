"""`pop3 config`: check a configuration file, and show it with all defaults."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import click

from restante.cli.errors import configuration_error_reporting, invalid_configuration
from restante.cli.options import add_options
from restante.cli.options.server import DEFAULT_CONFIG, FILE, find_default
from restante.cli.options.values import TEXT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from structlog.typing import EventDict, FilteringBoundLogger

    from restante.server.config.schema import Config

F = TypeVar("F", bound="Callable[..., Any]")


def _choose(ctx: click.Context, _: click.Parameter, file: Path | None) -> Path:
    """Return the configuration that is named, or the one at its usual place."""
    named = ctx.params.pop("named")
    if file and named:
        raise click.UsageError("FILE and --config exclude each other; use one")
    return file or named or find_default()


_OPTIONS = (
    click.argument("file", type=FILE, required=False, callback=_choose),
    click.option(
        "-c",
        "--config",
        "named",
        type=FILE,
        metavar="FILE",
        is_eager=True,  # `_choose` reads it
        help=f"The same as FILE.  [default: {DEFAULT_CONFIG}]",
    ),
)


def _configuration(command: F) -> F:
    """Give a command the argument FILE, and --config, as other commands have it."""
    return add_options(command, _OPTIONS)


@click.group()
def config() -> None:
    """Check the configuration file of `pop3 serve`, or show it with all defaults."""


@config.command(short_help="Check a configuration, and all that it names on this machine.")
@_configuration
@click.option(
    "--user",
    type=TEXT,
    metavar="NAME",
    help="Check with the permissions of this user: the one of the server. Requires root.",
)
def check(file: Path, user: str | None) -> None:
    """Check the configuration in FILE, and all that it names on this machine.

    Reads the certificates, the accounts and the keys, runs each query of a database once, and tests
    the permissions of the mail folder. Starts no server, and changes nothing.

    Exits with 2 if a server cannot serve with it, after a line for each mistake. Warnings do not
    change the exit code.
    """
    from restante.server import config_check

    if user is not None:
        _become(user)
    loaded = _load(file)
    warnings: list[str] = []
    problems = config_check.find_problems(loaded, _collect(warnings))
    for warning in warnings:
        click.echo(f"Warning: {warning}", err=True)
    if problems:
        raise invalid_configuration(problems)
    click.echo(f"{file}: a server can serve with this configuration.")


@config.command(short_help="Show all settings of a configuration, with the defaults.")
@_configuration
@click.option("-n", "--changed", is_flag=True, help="Omit the settings that have their default.")
def show(file: Path, *, changed: bool) -> None:
    """Show all settings of the configuration in FILE, defaults included and marked.

    The output is a configuration file with the same meaning. Its paths are absolute.
    """
    from restante.server.config.rendering import render

    click.echo(render(_load(file.absolute()), changed=changed), nl=False)


def _load(file: Path) -> Config:
    from restante.server.config import loader

    with configuration_error_reporting():
        return loader.load(file, {})


def _become(name: str) -> None:
    """Give up root's permissions for those of a user."""
    import pwd

    try:
        user = pwd.getpwnam(name)
        os.initgroups(name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    except KeyError:
        raise click.UsageError(f"--user: there is no user {name} on this machine") from None
    except PermissionError:
        raise click.UsageError("--user requires root; run the command with sudo") from None


def _collect(warnings: list[str]) -> FilteringBoundLogger:
    """Return a log whose warnings and errors go into a list, each once."""
    import structlog

    def collect(_logger: object, method: str, event: EventDict) -> EventDict:
        if method in ("warning", "error"):
            name = event.pop("event")
            text = f"{name}: " + ", ".join(f"{key} {event[key]}" for key in event)
            if text not in warnings:  # some parts are built twice
                warnings.append(text)
        raise structlog.DropEvent

    log: FilteringBoundLogger = structlog.wrap_logger(None, processors=[collect])
    return log
