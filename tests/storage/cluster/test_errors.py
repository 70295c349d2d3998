"""Names and messages that PostgreSQL cannot store."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster import ClusterStore, errors
from restante.storage.cluster.shards import open_shards
from restante.storage.cluster.transfer.import_target import ShardedImportTarget
from restante.storage.errors import StoreError
from restante.storage.interfaces import StoredMessage
from support.cluster import settings

POOLER_FULL = "no more connections allowed (max_client_conn)"
LARGE = b"Subject: large\n\n" + b"0123456789abcde\n" * 10


def test_messages_too_large_for_postgresql(
    dsn: Secret, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message over the limit is rejected at once, by a delivery and an import, unless outside."""
    monkeypatch.setattr(errors, "LARGEST_INLINE", len(LARGE) - 1)
    imported = [StoredMessage("old", LARGE, len(LARGE) + 12, 1)]

    async def test() -> None:
        store = ClusterStore(settings(dsn))
        async with store.open():
            with pytest.raises(StoreError, match="too large for PostgreSQL; set"):
                await store.deliver("ann", LARGE)
            await store.deliver("ann", LARGE[1:])
        async with open_shards(settings(dsn)) as shards:
            with pytest.raises(StoreError, match="a message of 176 octets is too large"):
                await ShardedImportTarget(shards).add("ann", imported)
        store = ClusterStore(settings(dsn, objects=str(tmp_path), inline=100))
        async with store.open():
            assert await store.deliver("ann", LARGE)

    asyncio.run(test())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (asyncpg.LockNotAvailableError("canceling"), "another transaction held a lock"),
        (asyncpg.ReadOnlySQLTransactionError("cannot execute"), "must name the primary"),
        (asyncpg.FeatureNotSupportedError("cannot access"), "must name the primary"),
        (asyncpg.QueryCanceledError("canceling"), "canceling; check its load, its locks and stat"),
        (asyncpg.TooManyConnectionsError("full"), "full; raise its max_connections, or lower clu"),
        (asyncpg.ProtocolViolationError(POOLER_FULL), "raise this limit of PgBouncer, or lower"),
        (asyncpg.ConnectionDoesNotExistError("it broke"), "it broke; check that it runs"),
        (asyncpg.InvalidPasswordError("it failed"), "it failed; check user, password and TLS"),
        (asyncpg.DivisionByZeroError("division by zero"), "PostgreSQL: division by zero"),
    ],
)
def test_words_of_errors(error: asyncpg.PostgresError, words: str) -> None:
    """An error says what to do, such as at a standby, which has no unlogged tables."""
    error.server_source_function = "get_relation_info"
    assert words in str(errors.translate(error)[0])
