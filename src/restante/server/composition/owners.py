"""The users that have a maildrop in a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.server.composition.backends import build_accounts, build_layout
from restante.storage.errors import StoreError
from restante.storage.maildrops import find_places

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from restante.server.config.schema import Config
    from restante.storage.paths import Layout

NO_ACCOUNT = "no account has this maildrop; name its user on the command line"


def find_owners(
    config: Config, log: FilteringBoundLogger, report: Callable[[Path, str], None]
) -> list[str]:
    """Return the users with a Maildir or mbox, by the accounts file and by the folders.

    Maildrops of accounts that are gone are included, if their place names a user. `report` is
    called with each place that is left out, and why. Raises ConfigError.
    """
    layout = build_layout(config)
    accounts = _accounts_by_place(config, layout, log)
    owners: list[str] = []
    for place in find_places(layout, report, mbox=config.mail.format == "mbox"):
        owner = layout.owner(place)
        if not _has_domain(layout) and not config.accounts.pam:
            owner = None  # the place does not show the domain; only an account has it
        names = accounts.get(place) or ([owner] if owner else [])
        owners += names
        if not names:
            report(place, NO_ACCOUNT)
    return owners


def _has_domain(layout: Layout) -> bool:
    return "{user}" in layout.template or "{domain}" in layout.template


def _accounts_by_place(
    config: Config, layout: Layout, log: FilteringBoundLogger
) -> dict[Path, list[str]]:
    """Return the names in the accounts file by the places of their mail."""
    from restante.auth.file.accounts import FileAuthenticator

    accounts = build_accounts(config, log) if config.accounts.users else None
    by_place: dict[Path, list[str]] = {}
    if isinstance(accounts, FileAuthenticator):
        for account in accounts.accounts():
            try:
                by_place.setdefault(layout.folder(account.name), []).append(account.name)
            except StoreError:  # no folder can have such a name
                continue
    return by_place
