"""Logins with app passwords of a cluster, whether its accounts are in its table or elsewhere."""

from __future__ import annotations

import asyncio

import pytest

from restante.auth.app_passwords.file import AppPassword, create
from restante.auth.interfaces import CredentialsError
from restante.auth.sql.cluster_app_passwords import AppPasswordTable
from restante.auth.sql.cluster_lists import ListedAccounts
from restante.auth.sql.cluster_logins import ClusterAccounts
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from support.cluster import execute

Accounts = ClusterAccounts | ListedAccounts


def make_app_password(
    dsn: Secret, account: str, label: str = "phone", *, elsewhere: bool = False
) -> tuple[AppPassword, Secret]:
    """Add an app password, and return it."""
    made, shown = create(account, label, 0)
    assert asyncio.run(AppPasswordTable(dsn).add(made, elsewhere=elsewhere)) == "added"
    return made, Secret(shown.encode())


async def recall(accounts: Accounts, user: str, password: Secret) -> Identity | None:
    """Log in without a hash."""
    found = accounts.cached_login(user, password)
    return None if found is None else await found


async def why_not(accounts: Accounts, user: str, password: Secret) -> str:
    """Return why a password is refused, which a cached login does as well."""
    assert await recall(accounts, user, password) is None
    with pytest.raises(CredentialsError) as caught:
        await accounts.verify(user, password)
    assert str(caught.value) == "wrong name or password"
    return caught.value.reason


async def use_and_finish(dsn: Secret, accounts: Accounts, *passwords: Secret) -> None:
    """Log in with app passwords of Ann, and see all uses in the table once the node has stopped."""
    for password in passwords:  # the second one waits for a minute
        await accounts.verify("ann", password)
    await accounts.finish_uses()
    (row,) = await execute(dsn, "select count(used) from app_password")
    assert row[0] == len(passwords)
