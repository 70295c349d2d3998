"""Accounts in a PostgreSQL database, asked by the administrator's own query."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import asyncpg

from restante.auth import hashes
from restante.auth.api import CredentialsError, UnavailableError
from restante.auth.file import HASHES_AT_ONCE
from restante.auth.names import spellings
from restante.auth.passwords import PasswordsOnly
from restante.protocol.secret import Secret
from restante.protocol.settings import Identity

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE = 5  # seconds for the database
MOST_CONNECTIONS = 4


class PostgresqlAuthenticator(PasswordsOnly):
    """Proves passwords by the hash that a query finds.

    The query gets the user's name as $1: as it was said, then in lower case. It returns at most one
    row with `password`, a hash such as a file of accounts has, and, where the account's name is
    another, `name`.
    """

    def __init__(self, dsn: Secret, query: str) -> None:
        self._dsn = dsn
        self._query = query
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, "password")
        self._decoy = hashes.make(Secret(b"nobody"))  # until an account's own hash was seen

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return whose name and password these are. Raises CredentialsError, UnavailableError.

        An unknown name costs the work that the last known one did.
        """
        found, row = await self._find(user)
        stored = str(row["password"]) if row else self._decoy
        unusable = hashes.problem(stored) is not None
        if not unusable:
            self._decoy = stored
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(self._threads, hashes.verify_any, self._decoy, password)
        if not row:
            raise CredentialsError("unknown name")
        if unusable or not right:
            raise CredentialsError("its hash is no use" if unusable else "wrong password")
        return _identity(found, row)

    async def identify(self, user: str) -> Identity:
        """Return whose name this is. Raises CredentialsError, UnavailableError."""
        found, row = await self._find(user)
        if not row:
            raise CredentialsError("unknown name")
        return _identity(found, row)

    async def owner(self, name: str) -> str:
        """Return the account of exactly this name. Raises CredentialsError, UnavailableError."""
        row = await self._row(name)
        if not row:
            raise CredentialsError("unknown name")
        return _identity(name, row).name

    async def aclose(self) -> None:
        """Close the connections to the database."""
        if self._pool is not None:
            await self._pool.close()

    async def _find(self, user: str) -> tuple[str, Mapping[str, object] | None]:
        """Return the name by which an account was found, and its row.

        Known or not, a name costs the same queries.
        """
        rows = [(name, await self._row(name)) for name in spellings(user)]
        return next((found for found in rows if found[1]), (user, None))

    async def _row(self, user: str) -> Mapping[str, object] | None:
        if "\0" in user:
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                pool = await self._opened()
                row: Mapping[str, object] | None = await pool.fetchrow(self._query, user)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise UnavailableError(f"PostgreSQL: {type(error).__name__}") from error
        if row is not None and "password" not in row:
            raise UnavailableError("PostgreSQL: the query returns no column named password")
        return row

    async def _opened(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._dsn.reveal().decode(), min_size=0, max_size=MOST_CONNECTIONS
                )
            return self._pool


def _identity(user: str, row: Mapping[str, object]) -> Identity:
    name = row["name"] if "name" in row else None  # noqa: SIM401  # a record has no get(default)
    return Identity(str(name) if name else user)
