"""From a configuration to accounts in MySQL and LDAP, and to the upgrade of weak hashes.

The libraries for MySQL and LDAP are extras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from restante.input_files import read_octets
from restante.net.addresses import is_loopback
from restante.server.composition.extras import importing
from restante.server.config.loader import ConfigError, as_config_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from restante.auth.file.hash_upgrade import HashUpgrader
    from restante.auth.interfaces import AccountDirectory
    from restante.auth.sql.hash_upgrade import SqlHashUpgrader
    from restante.protocol.secret import Secret
    from restante.server.config.account_sections import AccountsSection, LdapSection


def build_hash_upgrader(section: AccountsSection, log: FilteringBoundLogger) -> HashUpgrader | None:
    """Return the upgrade of weak hashes in the file of accounts, None if it is not configured."""
    if not section.upgrade_hashes or section.users is None:
        return None
    from restante.auth.file.hash_upgrade import HashUpgrader

    return HashUpgrader(section.users, *_callbacks(log))


def build_sql_hash_upgrader(section: AccountsSection, log: FilteringBoundLogger) -> SqlHashUpgrader:
    """Return the upgrade of weak hashes in a database, which only warns if it has no query."""
    from restante.auth.sql.hash_upgrade import SqlHashUpgrader

    query = section.postgresql_upgrade or section.mysql_upgrade
    return SqlHashUpgrader(query if section.upgrade_hashes else None, *_callbacks(log))


def _callbacks(log: FilteringBoundLogger) -> tuple[Callable[[int], None], Callable[[str], None]]:
    """Return functions that log a number of replaced hashes, and a problem."""
    return (
        lambda accounts: log.info("hashes_replaced", accounts=accounts),
        lambda problem: log.warning("accounts", problem=problem),
    )


def build_mysql_accounts(
    dsn: Secret, section: AccountsSection, upgrader: SqlHashUpgrader
) -> AccountDirectory:
    """Return the accounts in a MySQL or MariaDB. Raises ConfigError."""
    key = "accounts.mysql_dsn_file"
    with importing("mysql", f"{key}: MySQL"):
        from restante.auth.sql.accounts import SqlAuthenticator
        from restante.auth.sql.mysql_address import MysqlAddress
        from restante.auth.sql.mysql_query import MysqlQueries
    try:
        address = MysqlAddress.parse(dsn)
    except ValueError as error:
        raise ConfigError([f"{key}: {section.mysql_dsn_file}: {error}"]) from error
    assert section.mysql_query is not None
    return SqlAuthenticator(
        MysqlQueries(address, section.mysql_query),
        section.mysql_check,
        section.remember,
        list_all=section.mysql_list,
        upgrader=upgrader,
    )


def build_ldap_accounts(uri: str, section: LdapSection, password: Secret) -> AccountDirectory:
    """Return the accounts in an LDAP directory. Raises ConfigError."""
    with importing("ldap", "accounts.ldap: LDAP"):
        from restante.auth.ldap.accounts import LdapAuthenticator, LdapSearch
        from restante.auth.ldap.directory import LdapServer
    if section.ca_file:
        with as_config_error("ldap.ca_file", section.ca_file):
            read_octets(section.ca_file)
    server = LdapServer(
        uri,
        start_tls=section.start_tls == "always"
        or (section.start_tls == "auto" and any(map(_crosses_network, uri.split()))),
        ca_file=section.ca_file,
        bind_dn=section.bind_dn,
        bind_password=password,
    )
    columns = ("login_delay", "expire_days", "allow_nets", "quota_octets", "quota_messages")
    search = LdapSearch(
        base=section.base,
        logins=section.filter,
        mail=section.mail_filter or section.filter,
        user_dn=section.user_dn,
        name=section.name,
        attributes={
            column: getattr(section, column) for column in columns if getattr(section, column)
        },
    )
    return LdapAuthenticator(server, search)


def _crosses_network(uri: str) -> bool:
    """Return whether passwords would go over a network in clear text."""
    parts = urlsplit(uri)
    return parts.scheme == "ldap" and not is_loopback(parts.hostname or "")
