"""How much mail the accounts have, and how much they may have: what `pop3 quota` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from restante.auth.account_rows import SkippedAccounts
from restante.auth.interfaces import KnowsQuotas, ListsAccounts
from restante.quota import MailUsage, Quota
from restante.server.composition.backends import default_quota
from restante.server.config.loader import ConfigError
from restante.storage.quota import KeepsQuota

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from restante.auth.interfaces import AccountDirectory
    from restante.server.config.schema import Config
    from restante.storage.interfaces import Store


class AccountUsage(NamedTuple):
    """The mail and the quota of one account."""

    user: str
    usage: MailUsage
    quota: Quota


async def list_usage(
    config: Config,
    store: Store,
    accounts: AccountDirectory,
    names: Sequence[str],
    *,
    recount: bool = False,
) -> AsyncIterator[AccountUsage]:
    """Yield the usage of the accounts with these names, or of all accounts.

    Raises ConfigError: the accounts cannot be listed. Raises UnavailableError, StoreError;
    UnreadableAccountError after all other accounts.
    """
    if not isinstance(store, KeepsQuota):
        raise ConfigError(["mail.format: this store does not count its mail"])
    default, skipped = default_quota(config), SkippedAccounts()
    async for name in _find_accounts(accounts, names):
        with skipped.skip_unreadable(name):
            own = await accounts.own_quota(name) if isinstance(accounts, KnowsQuotas) else Quota()
            usage, quota = await store.find_usage(name, own.or_default(default), recount=recount)
            yield AccountUsage(name, usage, quota)
    skipped.report()


async def _find_accounts(accounts: AccountDirectory, names: Sequence[str]) -> AsyncIterator[str]:
    """Yield the accounts with these names, or all. Raises what `list_usage` raises."""
    if names:
        for name in names:
            yield name
    elif isinstance(accounts, ListsAccounts) and accounts.can_list:
        async for some in accounts.list_accounts():
            for name, _ in some:
                yield name
    else:
        raise ConfigError(["accounts: they cannot be listed; name the accounts to show"])
