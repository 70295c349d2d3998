"""The owner of a maildrop in a cluster, as an administrator names one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from restante.server.config.schema import Config
    from restante.storage.cluster.shards import Shard


async def find_owner(config: Config, shards: Mapping[str, Shard], typed: str) -> tuple[str, str]:
    """Return the owner that a name stands for, and what is wrong with the name, or "".

    An owner has mail, which may be that of a removed account, or an account. Raises StoreError.
    """
    from restante.auth.interfaces import UnavailableError
    from restante.auth.usernames import with_domain
    from restante.cli.options.account_names import UnknownAccountError, find_account
    from restante.cli.options.accounts import closing
    from restante.server.composition import backends
    from restante.server.config.loader import ConfigError
    from restante.server.log.loggers import SILENT
    from restante.storage.cluster.transfer.moving import has_mail

    if await has_mail(shards, typed):
        return typed, ""
    try:
        accounts = backends.build_accounts(config, SILENT)
        return await closing(accounts, find_account(config, accounts, typed)), ""
    except (UnknownAccountError, UnavailableError, ConfigError) as error:
        return with_domain(typed, config.login.default_domain or ""), str(error)
