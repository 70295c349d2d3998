"""Reads the accounts of `pop3 fetch`, and reads them again if their file changes."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import click
import msgspec
from click.globals import pop_context, push_context

from restante.cli.fetching.account import FetchAccount
from restante.cli.options.account import parse_account, select_account_options
from restante.cli.options.account_file import accounts_file, load_entries, place_of
from restante.cli.options.fetch_settings import (
    FetchSettings,
    accounts_with_settings,
    keep_seconds,
    parse_size,
    read_settings,
)
from restante.fetch.planner import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_FileState: TypeAlias = "tuple[int, ...]"

NO_ACCOUNT = "name an account, with --to URL, or give accounts of accounts.toml a [NAME.fetch]"


@dataclass(frozen=True, slots=True)
class InvalidAccount:
    """An account whose settings cannot be used; the others are fetched all the same.

    Attributes:
        name: its name in accounts.toml.
        error: what is wrong with its settings, and where.
        journal: the file of the journal.
    """

    name: str
    error: str
    journal: Path

    @property
    def mailbox(self) -> tuple[str, str]:
        """A mailbox of its own, since the true one is not known."""
        return "", self.name

    @property
    def destinations(self) -> tuple[str, ...]:
        """No destination is known."""
        return ()


class AccountReader:
    """Reads accounts by the options of a command line. Any thread may use it.

    Attributes:
        may_renew: whether `renew` reads accounts again. A password that a person has typed, or that
            came by a pipe, would be lost.
    """

    def __init__(self, params: dict[str, Any], journal: Path) -> None:
        """Prepare for the command that runs now."""
        self._params, self._journal = params, journal
        self._context = click.get_current_context()
        self._read_from: dict[str, _FileState] = {}
        self._stored: set[str] = set()
        self.may_renew = True

    def find_all(self, names: Sequence[str]) -> list[FetchAccount | InvalidAccount]:
        """Return the accounts that were named, or all with a table [NAME.fetch].

        Raises click.UsageError: one that was named is not an account, the file is invalid, or no
        account can be used, for one reason.
        """
        chosen = names or accounts_with_settings()
        if not chosen:
            raise click.UsageError(NO_ACCOUNT)
        accounts: list[FetchAccount | InvalidAccount] = []
        errors: list[click.UsageError] = []
        if not all("@" in name for name in chosen):  # addresses need no parser of TOML
            self._stored.update(load_entries())
        for name in dict.fromkeys(chosen):
            try:
                accounts.append(self._find(name))
            except click.UsageError as error:
                if name not in self._stored:
                    raise
                errors.append(error)
                accounts.append(InvalidAccount(name, _with_place(name, error), self._journal))
        if len(errors) == len(accounts) and len({error.message for error in errors}) == 1:
            raise errors[0]  # of the command line, or of the only account
        return accounts

    def renew(self, account: FetchAccount | InvalidAccount) -> FetchAccount:
        """Return an account as its file has it now. Raises click.UsageError: it cannot be used."""
        name = account.name
        if isinstance(account, FetchAccount) and not self._must_renew(name):
            return account
        with self.in_context():
            try:
                return self._find(name)
            except click.UsageError as error:
                raise click.UsageError(_with_place(name, error)) from None

    @contextlib.contextmanager
    def in_context(self) -> Iterator[None]:
        """Let a block know the command line, in any thread: each has a context of its own."""
        push_context(self._context)
        try:
            yield
        finally:
            pop_context()

    def forget(self, name: str) -> None:
        """Let `renew` read an account again, for example since its password may have changed."""
        self._read_from.pop(name, None)

    def _must_renew(self, name: str) -> bool:
        if not self.may_renew:
            return False
        stamp = self._read_from.get(name)
        return stamp is None or (name in self._stored and stamp != _file_state())

    def _find(self, name: str) -> FetchAccount:
        """Return an account with the settings of all options. Raises click.UsageError."""
        state = _file_state()
        if name in self._stored and name not in load_entries():
            raise click.UsageError(f"{accounts_file()} has no [{name}] any more")
        account = _make_account(name, self._params, self._journal)
        needless = self._params["mark_all"] or self._params["dry_run"]
        if not account.destinations and not needless:
            text = f'{name}: no destination; use --to URL, or to = "URL" in [NAME.fetch]'
            raise click.UsageError(text)
        self._read_from[name] = state
        return account


def _make_account(name: str, params: dict[str, Any], journal: Path) -> FetchAccount:
    settings = read_settings(name) or FetchSettings()
    destinations = params["to"] or tuple(settings.destinations)
    if params["to"]:
        settings = msgspec.structs.replace(settings, rule=[])
    shared = select_account_options(params)
    # A missing file of one account stops no other: `connect` reads it.
    args = parse_account(name, shared, read_cacert=shared["cacert"] is not None)
    keep = keep_seconds(settings.keep)
    keep = params["keep"] if params["keep"] is not None else keep
    size = None if settings.max_size is None else parse_size(settings.max_size)
    policy = Policy(
        keep_seconds=0.0 if params["delete"] else keep,
        max_size=params["max_size"] or size,
        newest_first=params["newest_first"] or settings.newest_first,
        limit=params["limit"],
        large_headers=(params["big"] or settings.big) == "headers",
    )
    return FetchAccount(name, args, tuple(destinations), settings, policy, journal)


def _with_place(name: str, error: click.UsageError) -> str:
    """Return what is wrong with an account of the file, with the file and the line."""
    if error.message.startswith(str(accounts_file())):
        return error.message
    return f"{place_of(name)}: {error.message}"


def _file_state() -> _FileState:
    """Return what changes with the file of accounts, () if it cannot be read."""
    try:
        state = os.stat(accounts_file())
    except OSError:
        return ()
    return state.st_ino, state.st_size, state.st_mtime_ns
