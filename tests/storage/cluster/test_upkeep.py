"""The upkeep of a cluster's store beside its sessions, and after a refused delivery."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster import ClusterStore
from restante.storage.errors import QuotaError
from restante.storage.interfaces import NeedsUpkeep
from support.cluster import execute, settings

LETTER = b"Subject: a\r\n\r\nhello\r\n"


def bodies(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_store_sweeps_its_bodies(dsn: Secret, tmp_path: Path) -> None:
    """A removed message's body is deleted after the grace, and counted."""

    async def test() -> None:
        store = ClusterStore(settings(dsn, objects=str(tmp_path), inline=0, grace=0))
        assert isinstance(store, NeedsUpkeep)
        async with store.open():
            await store.deliver("ann", LETTER)
            await store.deliver("ann", LETTER)
            maildrop = await store.acquire("ann", 0)
            await maildrop.remove([0])
            maildrop.release()
            assert len(bodies(tmp_path)) == 2
            (swept,) = [counts async for counts in store.sweep()]
            assert (swept["deleted"], swept["waiting"]) == (1, 0)
            assert len(bodies(tmp_path)) == 2  # one, and the claim

    asyncio.run(test())


def test_a_store_without_objects_has_nothing_to_sweep(dsn: Secret) -> None:
    """With all bodies in the database, there is nothing to sweep."""

    async def test() -> None:
        store = ClusterStore(settings(dsn))
        async with store.open():
            assert [counts async for counts in store.sweep()] == []

    asyncio.run(test())


def test_a_store_finds_its_faults(dsn: Secret, tmp_path: Path) -> None:
    """A sound place has none. A place of another cluster, or one that went away, is a fault."""
    objects = tmp_path / "objects"
    objects.mkdir()

    async def faults() -> list[str]:
        store = ClusterStore(settings(dsn, objects=str(objects)))
        async with store.open():
            known = [*await store.find_faults()]  # those of the tests' PostgreSQL
            (objects / "res" / "restante-cluster").write_bytes(b"x" * 512 + b"another")
            found = [*await store.find_faults()]
            objects.rename(tmp_path / "away")
            found += await store.find_faults()
            return [fault for fault in found if fault not in known]

    belongs, gone = asyncio.run(faults())
    assert f"{objects} belongs to another cluster" in belongs
    assert "No such file or directory" in gone


def test_mail_over_a_quota_leaves_no_body(dsn: Secret, tmp_path: Path) -> None:
    """Mail to a full maildrop does not fill the bucket."""

    async def test() -> None:
        store = ClusterStore(settings(dsn, objects=str(tmp_path), inline=0))
        async with store.open():
            await store.set_quota("ann", None, 1)
            await store.deliver("ann", LETTER)
            with pytest.raises(QuotaError):
                await store.deliver("ann", LETTER)
        assert len(bodies(tmp_path)) == 1
        assert len(await execute(dsn, "select * from removed")) == 0

    asyncio.run(test())
