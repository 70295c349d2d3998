"""`pop3 user`: the file of accounts."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.auth.scram import ScramKeys

LONGEST_PASSWORD = 248  # octets: PASS, a space and CR LF fill a line of 255 (RFC 2449 section 4)

users_option = click.option(
    "--users",
    "file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Use FILE as the accounts file.",
)
stdin_option = click.option(
    "--password-stdin",
    "stdin",
    is_flag=True,
    help="Read the password from the first line of standard input.",
)
scram_option = click.option(
    "--scram/--no-scram",
    default=True,
    help="Store SCRAM-SHA-256 keys with the hash, so that clients can log in without sending the "
    "password.",
)


@click.group()
def user() -> None:
    """Add, change, list and remove accounts."""


@user.command()
@click.argument("name")
@users_option
@stdin_option
@scram_option
def add(name: str, file: Path, *, stdin: bool, scram: bool) -> None:
    """Add an account.

    If the accounts file is missing, it is created and only its owner can read it.
    """
    from restante.auth import passwd_entry, passwd_file

    if problem := passwd_file.name_problem(name):
        raise click.BadParameter(f"{name!r}: {problem}", param_hint="NAME")
    with _error_reporting(file):
        if file.exists():
            _refuse_known(passwd_file.read_lines(file), name, file)
        credentials = _new_credentials(stdin=stdin, scram=scram)
        with passwd_file.edit(file) as lines:
            _refuse_known(lines, name, file)
            lines.append(passwd_entry.replace_credentials(f"{name}:", *credentials))
    click.echo(f"Added {name}.")


@user.command()
@click.argument("name")
@users_option
@stdin_option
@scram_option
def passwd(name: str, file: Path, *, stdin: bool, scram: bool) -> None:
    """Change the password of an account."""
    from restante.auth import passwd_entry, passwd_file

    with _error_reporting(file):
        _find_line(passwd_file.read_lines(file), name, file)
        credentials = _new_credentials(stdin=stdin, scram=scram)
        with passwd_file.edit(file) as lines:
            place = _find_line(lines, name, file)
            lines[place] = passwd_entry.replace_credentials(lines[place], *credentials)
    click.echo(f"Changed the password of {name}.")


@user.command("list")
@users_option
def list_(file: Path) -> None:
    """List the accounts, and report invalid lines of the file."""
    from restante.auth import passwd_file

    with _error_reporting(file):
        accounts = passwd_file.read(file)
    for name in accounts.by_name:
        click.echo(name)
    for problem in accounts.problems:
        click.echo(problem, err=True)
    for doubt in passwd_file.mail_doubts(accounts.by_name.values()):
        click.echo(f"{file}: {doubt}", err=True)


@user.command()
@click.argument("name")
@users_option
def remove(name: str, file: Path) -> None:
    """Remove an account. Its mail is not deleted."""
    from restante.auth import passwd_file

    with _error_reporting(file):
        passwd_file.read_lines(file)
        with passwd_file.edit(file) as lines:
            del lines[_find_line(lines, name, file)]
    click.echo(f"Removed {name}. Its mail was not deleted.")


@contextlib.contextmanager
def _error_reporting(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None


def _refuse_known(lines: list[str], name: str, file: Path) -> None:
    from restante.auth import passwd_file

    if passwd_file.index_of(lines, name) is not None:
        text = f"{name} already exists in {file}; to change its password, run `pop3 user passwd`"
        raise click.ClickException(text)


def _find_line(lines: list[str], name: str, file: Path) -> int:
    from restante.auth import passwd_file

    place = passwd_file.index_of(lines, name)
    if place is None:
        raise click.ClickException(
            f"{name} does not exist in {file}; to add it, run `pop3 user add`"
        )
    return place


def _new_credentials(*, stdin: bool, scram: bool) -> tuple[str, dict[str, ScramKeys]]:
    """Ask for a password, and return its hash and its keys for SCRAM."""
    from restante.auth import password_hashing
    from restante.auth.scram import create_keys
    from restante.protocol.secret import Secret

    password = Secret(_saslprep(_prompt_password(stdin=stdin)))
    keys = {}
    if scram:
        try:
            keys["SCRAM-SHA-256"] = create_keys("SCRAM-SHA-256", password)
        except ValueError as error:
            click.echo(f"No SCRAM keys were stored, because {error}.", err=True)
    return password_hashing.hash_password(password), keys


def _prompt_password(*, stdin: bool) -> bytes:
    """Return a password from a line of standard input, or typed twice at a prompt."""
    if stdin:
        password = sys.stdin.buffer.readline().removesuffix(b"\n").removesuffix(b"\r")
    else:
        typed = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        password = typed.encode(errors="surrogateescape")
    if not password:
        raise click.ClickException("the password must not be empty")
    return password


def _saslprep(typed: bytes) -> bytes:
    """Return a password as all ways to type it are compared: rfc6856-s2/saslprep."""
    from restante.protocol.saslprep import check_password, saslprep

    try:
        check_password(typed)
    except UnicodeDecodeError:
        text = "the password is not UTF-8, so clients cannot send it; set the terminal to UTF-8"
        raise click.ClickException(text) from None
    except ValueError:
        text = "the password has characters that SASLprep prohibits (RFC 4013), such as controls"
        raise click.ClickException(text) from None
    try:
        password = saslprep(typed.decode(), query=True).encode()
    except ValueError:  # letters of both directions: right as it is typed, though without SCRAM
        password = typed
    if not password:
        raise click.ClickException(
            "SASLprep (RFC 4013) makes this password empty; use other characters"
        )
    if max(len(typed), len(password)) > LONGEST_PASSWORD:
        raise click.ClickException(
            f"the password is too long; POP3 allows at most {LONGEST_PASSWORD} octets"
        )
    return password
