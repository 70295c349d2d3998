"""The user's file of accounts: `restante/accounts.toml` in the configuration folder."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restante.cli.output.terminal import plain
from restante.file_kinds import exists, user_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

OPTIONS = ("user", "password_command", "cacert", "servername")
"""The settings of an account that are options of the command line as well."""

_SETTINGS = ("account", *OPTIONS, "fetch", "oauth")
"""The settings of an account, and its tables."""


def is_stored(name: str) -> bool:
    """Return whether the file of accounts has this name. Raises click.UsageError."""
    return bool(find_entry(name))


def find_account(name: str) -> tuple[str, dict[str, str | Path]]:
    """Return the account that a name in the file stands for, and its values of OPTIONS.

    A relative path begins at the folder of the file. Any other name stands for itself and has no
    values. Raises click.UsageError: the file is invalid.
    """
    entry = find_entry(name)
    if not entry:
        return name, {}
    values: dict[str, str | Path] = {key: str(entry[key]) for key in OPTIONS if key in entry}
    if "cacert" in values:
        values["cacert"] = configuration_folder() / os.path.expanduser(values["cacert"])
    return entry["account"], values


def configuration_folder() -> Path:
    """Return the folder of the user's files. Raises click.UsageError: the user has no home."""
    with requiring_home():
        return user_configuration()


def home_folder() -> Path:
    """Return the home of the user. Raises click.UsageError: there is none."""
    with requiring_home():
        return Path.home()


@contextlib.contextmanager
def requiring_home() -> Iterator[None]:
    """Raise click.UsageError if the user has no home in this block."""
    try:
        yield
    except RuntimeError:
        raise click.UsageError("the user has no home folder; set HOME") from None


def find_entry(name: str) -> dict[str, Any]:
    """Return the table of a name in the file, with its own tables, an empty one for any other.

    Raises click.UsageError: the file is invalid.
    """
    if "://" in name or ("@" in name and not _is_readable()):
        return {}
    entry = load_entries().get(name)
    if entry is None:
        return {}
    if not isinstance(entry, dict) or not isinstance(entry.get("account"), str):
        text = f'[{name}] requires account = "user@example.com" or a URL'
        raise click.UsageError(f"{place_of(name, 'account')}: {text}")
    unknown = next((key for key in entry if key not in _SETTINGS), None)
    if unknown is not None:
        text = f"[{name}]: {unknown} is not a setting; {_hint(name, unknown)}"
        raise click.UsageError(f"{place_of(name, unknown)}: {text}")
    odd = next((key for key in OPTIONS if key in entry and not _is_text(key, entry[key])), None)
    if odd is not None:
        text = f'[{name}]: {odd} must be a text that is not empty, as in {odd} = "..."'
        raise click.UsageError(f"{place_of(name, odd)}: {text}")
    return entry


def _is_readable() -> bool:
    """Return whether there is a file that can be read: addresses require none, and no home."""
    try:
        return os.access(accounts_file(), os.R_OK)
    except click.UsageError:
        return False


def _is_text(key: str, value: object) -> bool:
    """Return whether a setting has a text, or is a user whose name is a number."""
    return bool(value.strip()) if isinstance(value, str) else key == "user" and type(value) is int


def _hint(name: str, unknown: str) -> str:
    """Return what may have been meant by a setting that an account does not have."""
    from restante.cli.options.fetch_settings import FetchSettings
    from restante.near_names import suggest_names

    if unknown in FetchSettings.__struct_fields__:
        return f"[{name}.fetch] may have it"
    return suggest_names(unknown, _SETTINGS, f"use {', '.join(('account', *OPTIONS))}", 1)


def load_entries() -> dict[str, Any]:
    """Return all that the file has, in its order. Raises click.UsageError: it is invalid."""
    from restante.input_files import read_text
    from restante.toml_input import parse_toml

    file = accounts_file()
    try:
        return parse_toml(read_text(file)) if exists(file) else {}
    except OSError as error:
        from restante.system_errors import explain_path

        raise click.UsageError(explain_path(file, error)) from None
    except ValueError as error:
        raise click.UsageError(f"{file}: {error}") from None


def place_of(*path: str) -> str:
    """Return the file and, if it is found, the line of a setting, by the names of its tables."""
    from restante.cli.options.toml_lines import find_line
    from restante.input_files import read_text

    file = accounts_file()
    try:
        line = find_line(read_text(file), *path)
    except (OSError, ValueError):  # changed just now
        line = None
    return f"{file}: line {line}" if line else str(file)


def accounts_file() -> Path:
    """Return the path of the file of accounts."""
    return configuration_folder() / "accounts.toml"


def describe_unknown(name: str, *, option: str = "add -u NAME") -> str:
    """Return that a name is not an account, with the stored names that may have been meant.

    `option` says how the command gets the user in another way, "" if it cannot.
    """
    name = plain(name)
    if not name or "://" in name:
        ways = ", or ".join(filter(None, ("use user@domain", option)))
        return f'"{name}" is not an account; {ways}'
    ways = ", ".join(filter(None, ("use user@domain", option, "or use a name from")))
    text = f'"{name}" is not an account; {ways}'
    file, names = accounts_file(), list(load_entries())
    if not names:
        return f"{text} {file}, which {'has no names' if exists(file) else 'does not exist'}"
    if name in names:
        what = "its account must be user@domain or a URL"
        return f'"{name}" is the name of a table in {file}; {what}'
    import difflib

    near = difflib.get_close_matches(name, names, 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else f", which has {', '.join(names)}"
    return f"{text} {file}{hint}"
