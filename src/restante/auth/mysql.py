"""Accounts in a MySQL or MariaDB database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.auth.mysql_query import MysqlQueries
from restante.auth.sql_accounts import SqlAuthenticator

if TYPE_CHECKING:
    from restante.auth.mysql_address import MysqlAddress
    from restante.auth.sql_hash_upgrade import SqlHashUpgrader


class MysqlAuthenticator(SqlAuthenticator):
    """Proves passwords by the hash that a query in MySQL finds.

    The query has a question mark for the user's name, and must return the account's `name`: most
    collations ignore case, and Ann and ann would have a folder each.
    """

    def __init__(  # noqa: PLR0913  # the last four have defaults
        self,
        address: MysqlAddress,
        query: str,
        check: str | None = None,
        remember: float = 0,
        *,
        list_all: str | None = None,
        upgrader: SqlHashUpgrader | None = None,
    ) -> None:
        queries = MysqlQueries(address, query)
        super().__init__(queries, check, remember, list_all=list_all, upgrader=upgrader)
