"""Passwords in the file .netrc of the user. netrc(5)."""

from __future__ import annotations

import netrc
from typing import Any

import click

from restante.cli.options.account_file import home_folder
from restante.input_files import require_file
from restante.system_errors import explain


def find_password(host: str, user: str) -> str:
    """Return the password of a user at a host, "" if there is none; without a user, the first one.

    Raises click.UsageError: the file cannot be used. Nothing of it is repeated: any word may be a
    password.
    """
    entries: dict[str, list[tuple[str, str]]] = {}
    try:
        require_file(home_folder() / ".netrc")
        _EveryEntry(entries)
    except OSError as error:
        raise click.UsageError(f"~/.netrc: {explain(error)}") from None
    except UnicodeDecodeError:
        raise click.UsageError("~/.netrc is not UTF-8; save it as UTF-8") from None
    except netrc.NetrcParseError as error:
        raise click.UsageError(f"~/.netrc: {_describe_fault(error.lineno)}") from None
    found = entries.get(host) or entries.get("default", [])
    return next((secret for login, secret in found if not (user and login) or login == user), "")


class _EveryEntry(netrc.netrc):
    """The file of the user. The library keeps the last entry of each host; others go on a list."""

    def __init__(self, entries: dict[str, list[tuple[str, str]]]) -> None:
        self._hosts = _Hosts(entries)
        super().__init__()  # a file that is named may be read by other users

    @property
    def hosts(self) -> _Hosts:
        """The entries by host."""
        return self._hosts

    @hosts.setter
    def hosts(self, empty: dict[str, Any]) -> None:
        """Keep what was there."""


class _Hosts(dict[str, Any]):
    """A dictionary that also lists the user and the password of each entry of a host."""

    def __init__(self, entries: dict[str, list[tuple[str, str]]]) -> None:
        super().__init__()
        self._entries = entries

    def __setitem__(self, host: str, entry: Any) -> None:
        if entry:  # the library first puts an empty one there
            login, _, password = entry
            self._entries.setdefault(host, []).append((login or "", password or ""))
        super().__setitem__(host, entry)


def _describe_fault(line: int | None) -> str:
    """Return why a netrc cannot be used; without a line, it is not for its owner alone."""
    if line is None:
        return "it must be a file of your own that nobody else can read; run chmod 600 ~/.netrc"
    form = 'write machine HOST login USER password PASSWORD, or "PASSWORD" if it has spaces'
    return f"line {line} is not an entry; {form}"
