"""Accounts in a PostgreSQL database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.auth.postgresql_query import PostgresqlQueries
from restante.auth.sql_accounts import SqlAuthenticator

if TYPE_CHECKING:
    from restante.auth.sql_hash_upgrade import SqlHashUpgrader
    from restante.protocol.secret import Secret


class PostgresqlAuthenticator(SqlAuthenticator):
    """Proves passwords by the hash that a query in PostgreSQL finds.

    The query gets the user's name as $1. If $1 is an array, it gets all names at once.
    """

    def __init__(  # noqa: PLR0913  # the last four have defaults
        self,
        dsn: Secret,
        query: str,
        check: str | None = None,
        remember: float = 0,
        *,
        list_all: str | None = None,
        pooler: bool = False,
        upgrader: SqlHashUpgrader | None = None,
    ) -> None:
        """`pooler`: one such as PgBouncer may be there, which keeps no prepared statements."""
        queries = PostgresqlQueries(dsn, query, pooler=pooler)
        super().__init__(queries, check, remember, list_all=list_all, upgrader=upgrader)
