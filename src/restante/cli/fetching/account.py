"""One account that is fetched: its server, its destinations, its policy, its journal."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from restante.cli.fetching.destination_passwords import DestinationPasswords
from restante.cli.options.maildrop import connect_account
from restante.fetch.account_lock import lock_account
from restante.fetch.destinations.urls import (
    DestinationSettings,
    merge_same_places,
    open_destination,
)
from restante.fetch.journal import Journal
from restante.protocol.errors import Phase, ReplyTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from restante.cli.options.account import AccountArgs
    from restante.cli.options.fetch_settings import FetchSettings
    from restante.cli.options.stored_tokens import AccountTokens
    from restante.client.blocking import Maildrop
    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.interfaces import Destination
    from restante.fetch.planner import Policy

LONGEST_RUN = 86_400.0
"""Seconds of a run. A server that sends an octet now and then would hold its account for ever."""


def _ignore(_id: str, _text: str) -> None:
    """Ignore a warning: a run shows it."""


@dataclass(frozen=True, slots=True)
class FetchAccount:
    """An account as `pop3 fetch` was asked for it.

    Attributes:
        name: its name in accounts.toml, or the account itself. The journal knows it by this.
        args: its server and how to log in.
        destinations: the URLs of its destinations.
        settings: the table [NAME.fetch], or an empty one.
        policy: what is fetched, and what is deleted.
        journal: the file of the journal.
    """

    name: str
    args: AccountArgs
    destinations: tuple[str, ...]
    settings: FetchSettings
    policy: Policy
    journal: Path

    @property
    def seconds(self) -> float:
        """The seconds of a run, by --max-time if it is given."""
        return self.args.seconds or LONGEST_RUN

    @property
    def mailbox(self) -> tuple[str, str]:
        """The user and the host, the same for all accounts in one mailbox, if they are known."""
        target = self.args.target
        return (target.user, target.host.lower()) if target else ("", self.args.name.lower())

    @property
    def state_folder(self) -> Path:
        """The folder of the state that is not in the journal."""
        return self.journal.parent / "fetch"

    @contextlib.contextmanager
    def open_journal(self, *, begin: bool = False) -> Iterator[AccountJournal]:
        """Lock the account, and open its part of the journal. Raises FetchError."""
        with lock_account(self.state_folder, self.name), Journal(self.journal) as journal:
            yield journal.open_account(self.name, begin=begin)

    def open_destinations(self, journal: AccountJournal) -> list[Destination]:
        """Return the destinations. Raises click.UsageError: a URL is invalid."""
        settings = DestinationSettings(
            self.state_folder,
            DestinationPasswords(self.settings.to_password_command).find,
            _find_token,
            envelope=self.settings.envelope,
            addresses=self.settings.addresses,
            hold=self.settings.doubt == "hold",
            imported=journal.imported,
            trace=self.args.options.trace,
            added=self._trace_fields if self.settings.trace else None,
        )
        try:
            opened = [open_destination(url, settings) for url in self.destinations]
            destinations = merge_same_places(opened)
            if self.settings.rule:
                from restante.cli.fetching.rules import open_with_rules

                destinations = open_with_rules(destinations, self.settings.rule, settings)
        except ValueError as error:
            raise click.UsageError(f"{self.name}: {error}") from None
        return destinations

    def _trace_fields(self) -> bytes:
        from restante.fetch.destinations.trace import trace_fields

        target = self.args.locate()
        return trace_fields(target.user, target.host, socket.gethostname(), time.time())

    def connect(
        self, notice: Callable[[str, str], None] = _ignore, until: float = math.inf
    ) -> Maildrop:
        """Return the open maildrop; `notice` gets warnings. Raises RemoteError.

        The session ends at `until`, by time.monotonic(). The octets of a message have no limit but
        LIST's size and `max_size`.
        """
        renewed = self.args.renewed_options()
        options = dataclasses.replace(renewed, notice=notice, message_octets=None)
        if until < math.inf:
            left = until - time.monotonic()
            if left <= 0:
                text = "the time limit of the run has passed"
                raise ReplyTimeoutError("out-of-time", text, phase=Phase.CONNECT)
            options = dataclasses.replace(options, total_seconds=left)
        return connect_account(self.args, options)


def _find_token(user: str, host: str) -> AccountTokens | None:
    """Return the tokens of a destination's user, None if that user has not signed in."""
    from restante.cli.options.account_file import find_entry
    from restante.cli.options.stored_tokens import find_tokens
    from restante.client.options import Target

    if not host:
        return None
    target = Target(host, 0, "implicit", user)
    name = user if "@" in user else f"{user}@{host}"
    return find_tokens(name, name, user, find_entry(name), lambda: target)
