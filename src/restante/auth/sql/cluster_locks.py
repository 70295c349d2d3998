"""The table `locked_account` of a cluster, whose locks hold at all nodes, over any source.

Accounts in the table `account` have a column for that instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.auth.sql.cluster_accounts import ClusterTable
from restante.auth.usernames import lock_key

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCK = """
INSERT INTO locked_account (key, name) VALUES ($1, $2)
ON CONFLICT (key) DO UPDATE SET name = excluded.name, at = excluded.at
"""


class LockTable(ClusterTable):
    """The locked names of a cluster. All methods raise UnavailableError."""

    async def lock(self, name: str) -> None:
        """Lock a name in all its spellings. Its sessions end, at all nodes."""
        await self._change(LOCK, lock_key(name), name)

    async def unlock(self, name: str) -> bool:
        """Unlock a name, and return whether it was locked."""
        return await self._change("DELETE FROM locked_account WHERE key = $1", lock_key(name))

    async def names(self) -> Sequence[str]:
        """Return the locked names as they were typed, in order."""
        async with self._connect() as connection:
            rows = await connection.fetch("SELECT name FROM locked_account ORDER BY key")
        return [row["name"] for row in rows]
