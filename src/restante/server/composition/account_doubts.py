"""Warnings of accounts in a file: valid lines without an effect under a configuration."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from restante.auth.file import passwd_file
from restante.auth.usernames import with_domain
from restante.server.composition.backends import build_layout
from restante.storage.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from restante.auth.file.passwd_entry import PasswdEntry
    from restante.server.config.schema import Config

USELESS = (
    "no account has a secret=, so each such login fails, and some clients try it first; give an"
    " account a secret, or omit the setting"
)


def build_doubts(config: Config) -> Callable[[Collection[PasswdEntry]], Iterator[str]]:
    """Return a function that yields a warning for each doubtful account."""
    layout = None if config.mail.format == "cluster" else build_layout(config)

    def find_mail(name: str) -> Path | None:
        with contextlib.suppress(StoreError):
            return layout.folder(name) if layout else None
        return None

    def find_doubts(accounts: Collection[PasswdEntry]) -> Iterator[str]:
        yield from passwd_file.mail_doubts(accounts, find_mail)
        for account in accounts:
            if text := _describe_shadowed(config, account.name):
                yield f"{account.name!r} {text}"
        if not any(place in config.mail.layout for place in ("{user}", "{domain}")):
            yield from _find_shared(accounts, find_mail)
        if accounts and not any(account.secret for account in accounts):
            for key in ("apop", "cram_md5"):
                if getattr(config.login, key):
                    yield f"login.{key}: {USELESS}"

    return find_doubts


def _find_shared(
    accounts: Collection[PasswdEntry], find_mail: Callable[[str], Path | None]
) -> Iterator[str]:
    """Yield a warning for each account with the maildrop of another one."""
    owners: dict[Path, str] = {}
    for account in accounts:
        place = find_mail(account.name)
        owner = owners.setdefault(place, account.name) if place else account.name
        if owner != account.name:
            yield f"{account.name!r} has the maildrop of {owner!r}: mail.layout lacks {{domain}}"


def _describe_shadowed(config: Config, name: str) -> str:
    """Return why a login with this name would use another name, "" if it would not."""
    separator = config.accounts.master_separator
    if config.accounts.masters and all(name.rpartition(separator)):
        return (
            f"cannot log in by a password: with {separator!r}, the name is that of a master user;"
            " change accounts.master_separator, or rename the account"
        )
    if (full := with_domain(name, config.login.default_domain or "")) != name:
        return f"cannot log in, and gets no mail: login.default_domain makes it {full!r}"
    return ""
