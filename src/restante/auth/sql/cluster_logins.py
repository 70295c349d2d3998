"""Logins at the table `account` of a cluster, by the account's own password or by an app password.

Nothing of either stays in the memory of a node: each login reads the row of its account, so that a
lock or a revocation at any node counts at the next login. One query reads it together with the app
password.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from restante.auth.app_passwords.digests import digest_of, key_of
from restante.auth.app_passwords.uses import PAUSE, AppPasswordUses
from restante.auth.interfaces import CredentialsError
from restante.auth.sql.accounts import SqlAuthenticator, deadline, find_hindrance
from restante.auth.sql.cluster_accounts import CHECK, LIST, LOGIN_COLUMNS, QUERY
from restante.auth.sql.cluster_app_passwords import find_app_password
from restante.auth.sql.postgresql_query import PostgresqlQueries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from restante.protocol.secret import Secret
    from restante.protocol.server.settings import Identity

APP_PASSWORD = f"""
SELECT {LOGIN_COLUMNS}, digest, label
FROM app_password JOIN account ON name = app_password.account
WHERE digest = $2 AND name = ANY($1)
"""  # noqa: S608
NOTE_USES = """
WITH due AS (
    SELECT digest, clock_timestamp() - age * interval '1 s' AS at
    FROM app_password JOIN unnest($1::text[], $2::float8[]) AS noted (digest, age) USING (digest)
    WHERE used IS NULL OR used < clock_timestamp() - (age + 600) * interval '1 s'
        OR used > clock_timestamp()
    FOR UPDATE OF app_password SKIP LOCKED
)
UPDATE app_password SET used = due.at FROM due WHERE app_password.digest = due.digest
RETURNING set_config('synchronous_commit', 'off', true)
"""  # a use need not last, and must not wait for a standby


class ClusterAccounts(SqlAuthenticator):
    """The accounts of a cluster: an app password logs in like the account's own password.

    A rejection always costs the time of the account's own password, so it does not show whether an
    app password exists, or whose it is.
    """

    def __init__(
        self, dsn: Secret, remember: float, warn: Callable[[str], None], *, pooler: bool = False
    ) -> None:
        queries = PostgresqlQueries(dsn, QUERY, pooler=pooler, primary=True)
        super().__init__(queries, CHECK, remember, list_all=LIST)
        self._find_app_password = partial(find_app_password, queries, APP_PASSWORD)
        self._uses = TableUses(queries, warn)

    @property
    def _without_row(self) -> str:
        return "the table account is empty"

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return the identity for a name and password.

        Raises CredentialsError, UnavailableError.
        """
        row = await self._find_app_password(user, password)
        if row is not None and not find_hindrance(row):
            return self._log_in(row)
        try:
            return await super().verify(user, password)
        except CredentialsError as error:
            if row is None:
                raise
            reason = f"{error.reason}, with the app password {row['label']!r}"
            raise CredentialsError(reason) from error

    def cached_login(self, user: str, password: Secret) -> Awaitable[Identity | None] | None:
        """Return whose app password this is, at no cost of a hash, or what is remembered."""
        remembered = super().cached_login(user, password)
        if remembered is not None or digest_of(password) is None:
            return remembered
        return self._confirm_app_password(user, password)

    async def _confirm_app_password(self, user: str, password: Secret) -> Identity | None:
        row = await self._find_app_password(user, password)
        return None if row is None or find_hindrance(row) else self._log_in(row)

    async def finish_uses(self) -> None:
        """Write the uses that are left, at the end of a process."""
        await self._uses.finish()

    def _log_in(self, row: Mapping[str, object]) -> Identity:
        digest, name = str(row["digest"]), str(row["login"])
        identity = self._identify(name, row)
        self._uses.note(digest)
        return replace(identity, app_password=str(row["label"]), credential=key_of(digest))


class TableUses(AppPasswordUses):
    """The uses of app passwords in the table.

    A row is written at most once in ten minutes, so that polls do not fill PostgreSQL's log.
    """

    def __init__(
        self,
        queries: PostgresqlQueries,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,  # for ages, whatever the wall clock does
        pause: float = PAUSE,
    ) -> None:
        super().__init__(warn, clock, pause)
        self._queries = queries

    async def _store(self, uses: Mapping[str, int]) -> None:
        now = self._clock()  # what counts is an age: the time is that of PostgreSQL's clock
        ages = [max(0.0, now - seconds) for seconds in uses.values()]
        await self._queries.change(NOTE_USES, [list(uses), ages], deadline())
