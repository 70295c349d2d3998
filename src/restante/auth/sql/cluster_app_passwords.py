"""The table `app_password` of a cluster: `pop3 user app-password` changes it, logins ask it.

A removal also ends the sessions of the app password, at all nodes: a trigger of the table notes it.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from restante.auth.app_passwords.digests import digest_of
from restante.auth.sql.accounts import deadline
from restante.auth.sql.cluster_accounts import PAGE, ClusterTable
from restante.auth.sql.queries import is_sound
from restante.auth.usernames import candidate_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from restante.auth.app_passwords.file import AppPassword
    from restante.auth.sql.postgresql_query import PostgresqlQueries
    from restante.protocol.secret import Secret

ADD = """
WITH added AS (
    INSERT INTO app_password (digest, account, label, created, used)
    SELECT $1, $2, $3, coalesce($4, now()), $5
    WHERE ($6 OR EXISTS (SELECT FROM account WHERE name = $2 FOR KEY SHARE))
        AND NOT EXISTS (SELECT FROM revoked_app_password WHERE digest = $1)
    ON CONFLICT DO NOTHING RETURNING digest
)
SELECT CASE
    WHEN EXISTS (SELECT FROM added) THEN 'added'
    WHEN EXISTS (SELECT FROM app_password WHERE digest = $1) THEN 'known'
    WHEN NOT ($6 OR EXISTS (SELECT FROM account WHERE name = $2)) THEN 'no account'
    WHEN EXISTS (SELECT FROM revoked_app_password WHERE digest = $1) THEN 'revoked'
    ELSE 'same label'
END
"""
ROWS = """
SELECT account, label, created, used FROM app_password
WHERE (account, label) > ($1, $2) AND ($3::text IS NULL OR account = $3)
ORDER BY account, label LIMIT $4
"""


async def find_app_password(
    queries: PostgresqlQueries, query: str, user: str, password: Secret
) -> Mapping[str, object] | None:
    """Return the row of an app password, None if the user has no such one.

    `query` has the possible names of the account as $1, and the digest as $2. Raises
    UnavailableError.
    """
    digest = digest_of(password)
    names = [name for name in candidate_names(user) if is_sound(name)]
    if digest is None or not names:
        return None
    return await queries.find_row(query, [names, digest], deadline())


class AppPasswordTable(ClusterTable):
    """The app passwords of a cluster. All methods raise UnavailableError."""

    async def add(
        self, password: AppPassword, used: int | None = None, *, elsewhere: bool = False
    ) -> str:
        """Add an app password, and return "added", or why it was not.

        That is "known", "no account", "revoked" or "same label". `used` is in seconds since 1970.
        `elsewhere`: the accounts are not in the table, so it does not say which ones there are.
        """
        created = None
        with contextlib.suppress(ValueError):  # a line of a file may have any text there
            created = datetime.fromisoformat(password.created)
        last = None if used is None else datetime.fromtimestamp(used, UTC)
        async with self._transaction() as connection:
            outcome: str = await connection.fetchval(
                ADD, password.digest, password.account, password.label, created, last, elsewhere
            )
        return outcome

    async def page(
        self, name: str | None = None, after: tuple[str, str] = ("", "")
    ) -> Sequence[Mapping[str, Any]]:
        """Return account, label, created and used of an account's app passwords, or of any.

        They are at most 1000, and follow the account and label in `after`.
        """
        async with self._connect() as connection:
            rows: Sequence[Mapping[str, Any]] = await connection.fetch(ROWS, *after, name, PAGE)
        return rows

    async def remove(self, name: str, label: str) -> bool:
        """Remove an app password. Return whether there was one."""
        sql = "DELETE FROM app_password WHERE account = $1 AND label = $2"
        return await self._change(sql, name, label)

    async def remove_all(self, name: str) -> None:
        """Remove the app passwords of an account."""
        await self._change("DELETE FROM app_password WHERE account = $1", name)
