"""The sources of a password. One on the command line, in plain view, gets a warning."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import click

from restante.cli.options import add_options, options_of
from restante.cli.options.account_file import OPTIONS
from restante.cli.options.values import FilePath
from restante.cli.output.terminal import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from restante.client.options import Target

F = TypeVar("F", bound="Callable[..., Any]")

VARIABLE = "POP3_PASSWORD"
LONGEST_LINE = 65_536  # octets of a password or a token
PIPE_PATIENCE = 2.0  # seconds for a program to begin to write

_OPTIONS = (
    click.option(
        "--password-command",
        metavar="COMMAND",
        help="Run COMMAND and use its first output line as the password.",
    ),
    click.option(
        "--password-file",
        type=FilePath(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Read the password from the first line of FILE.",
    ),
    click.option(
        "--password-stdin",
        is_flag=True,
        help="Read the password from the first line of standard input.",
    ),
    click.option("--netrc", is_flag=True, help="Read the password of the host from ~/.netrc."),
    click.option(
        "--keyring", is_flag=True, help="Read the password of the host from the system keyring."
    ),
    click.option(
        "--password",
        metavar="PASSWORD",
        help="Use PASSWORD. Other local users can see it; prefer another --password option.",
    ),
)


def password_options(function: F) -> F:
    """Add the options that name the source of a password."""
    return add_options(function, _OPTIONS)


def is_password_named(params: dict[str, Any]) -> bool:
    """Return whether an option or the environment names the source of the password."""
    return has_password_option(params) or VARIABLE in os.environ


def has_password_option(params: dict[str, Any]) -> bool:
    """Return whether an option names the source of the password."""
    values = (params.get(option.name or "") for option in options_of(password_options))
    return any(value not in (None, False) for value in values)


def add_stored_options(params: dict[str, Any], stored: Mapping[str, object]) -> None:
    """Add the values that an account has in its file, for options that were not typed.

    Any option for a password that was typed goes before the stored command.
    """
    typed = has_password_option(params)
    for option in OPTIONS:
        if params[option] is None and not (typed and option == "password_command"):
            params[option] = stored.get(option)


def password_getter(params: dict[str, Any], target: Callable[[], Target]) -> Callable[[], str]:
    """Return a function that gets the password when it is needed, once.

    Removes its options from `params`. Raises click.UsageError: two options are given, or, when it
    is called, there is no password.
    """
    values = {option.name: params.pop(option.name) for option in options_of(password_options)}
    given = [
        option.opts[0]
        for option in options_of(password_options)
        if values[option.name] not in (None, False)
    ]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other; use one")
    if values["password"] is not None:
        click.echo(
            "warning: other users of this machine can see the password of --password; "
            f"use --password-stdin, --password-command or {VARIABLE}",
            err=True,
        )
    passwords: list[str] = []

    def get_password() -> str:
        if not passwords:
            passwords.append(_read_password(values, target()))
        return passwords[0]

    return get_password


def _read_password(values: dict[str, Any], target: Target) -> str:
    """Return the password of the option that was given, else of the environment or a person."""
    sources: list[tuple[object, Callable[[], str]]] = [
        (values["password"] is not None, lambda: str(values["password"])),
        (values["password_command"] is not None, lambda: _from_command(values["password_command"])),
        (values["password_file"], lambda: read_password_file(values["password_file"])),
        (values["password_stdin"], lambda: _read_line(sys.stdin.buffer)),
        (values["netrc"], lambda: _from_netrc(target)),
        (values["keyring"], lambda: _from_keyring(target)),
        (VARIABLE in os.environ, lambda: os.environ[VARIABLE]),
    ]
    password = next((get for wanted, get in sources if wanted), lambda: _from_prompt(target))()
    if not password:
        place = f"; {VARIABLE} is set but empty" if os.environ.get(VARIABLE) == "" else ""
        raise click.UsageError(f"the password is empty, so it was not sent{place}")
    return password


def _read_line(file: BinaryIO) -> str:
    octets = file.readline(LONGEST_LINE + 1)
    if len(octets) > LONGEST_LINE:
        raise click.UsageError(f"the password is longer than {LONGEST_LINE} octets")
    return _first_line(octets)


def _first_line(octets: bytes) -> str:
    """Return the first line, without the byte order mark that some editors begin a file with."""
    try:
        return octets.split(b"\n")[0].removesuffix(b"\r").decode("utf-8-sig")
    except UnicodeDecodeError:
        raise click.UsageError("the password is not UTF-8") from None


def password_of_command(command: str, name: str) -> Callable[[], str]:
    """Return a function that runs a command, and returns the first line of its output.

    `name` is the setting that has the command.
    """
    return lambda: _from_command(command, name)


def _from_command(command: str, name: str = "the password command") -> str:
    from restante.user_commands import read_output

    try:
        return _first_line(read_output(command, name))
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def read_password_file(file: Path) -> str:
    """Return the first line of a file. It may be a pipe, as of `<(pass show mail)` in a shell.

    A pipe to which no program writes is empty. Raises click.UsageError: the file cannot be read, or
    its line is too long.
    """
    try:
        with open(file, "rb", opener=_open_now) as opened:
            return _read_line(opened)
    except OSError as error:
        from restante.system_errors import explain_path

        raise click.UsageError(explain_path(file, error)) from None


def _open_now(path: str, flags: int) -> int:
    """Open a file, or a pipe for the program that writes to it, or comes within some seconds."""
    import select

    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    select.select([descriptor], [], [], PIPE_PATIENCE)
    os.set_blocking(descriptor, True)
    return descriptor


def _from_netrc(target: Target) -> str:
    from restante.cli.options.netrc_file import find_password

    password = find_password(target.host, target.user)
    if not password:
        raise click.UsageError(f"~/.netrc has no password for {_account(target)}")
    return password


def _from_keyring(target: Target) -> str:
    from restante.oauth import keyring_entries

    try:
        password = keyring_entries.get_password(target.host, target.user)
    except keyring_entries.KeyringError as error:
        text = f"{error.cause}; {error.remedy}, or use another --password option"
        raise click.UsageError(text) from None
    if password is None:
        raise click.UsageError(f"the keyring has no password for {_account(target)}")
    return str(password)


def _account(target: Target) -> str:
    """Return the user and the host of a password; a look-up may have named both."""
    from restante.net.host_names import display_host

    return plain(f"{target.user or 'the account'} at {display_host(target.host)}")


def _from_prompt(target: Target) -> str:
    if not sys.stdin.isatty():
        text = f"no password; set {VARIABLE}, or use another --password option"
        raise click.UsageError(text)
    from restante.cli.options.prompts import ask

    text = f"Password of {_account(target)}"
    advice = f"Set {VARIABLE}, or use another --password option."
    return ask(text, advice, hide_input=True, err=True)
