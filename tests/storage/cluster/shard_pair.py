"""Two databases of one cluster, nodes with stores on both, and moves that end at any call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from restante.protocol.secret import Secret
from restante.storage.cluster.settings import ClusterSettings
from restante.storage.cluster.shards import Shard, ShardedStore, open_shards
from restante.storage.cluster.transfer.moving import Move
from storage.contract import everything
from support.cluster import execute, settings
from support.kill_points import KilledError, KillPoint

Gate = Callable[[Callable[[], Awaitable[object]]], Awaitable[object]]
"""Makes a call, or does not."""


class Gated:
    """Makes the calls of an object's methods that change something through a gate."""

    def __init__(self, inner: Any, gate: Gate) -> None:
        self._inner = inner
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in {"fetch", "fetchrow", "acquire", "put"}:
            return found

        async def call(*args: object, **kwargs: object) -> object:
            return await self._gate(lambda: found(*args, **kwargs))

        return call


class GatedShard:
    """A shard whose calls go through a gate."""

    def __init__(self, shard: Shard, gate: Gate) -> None:
        self.store = Gated(shard.store, gate)
        self.database = Gated(shard.database, gate)
        self.bodies = Gated(shard.bodies, gate) if shard.bodies else None
        self.inline = shard.inline


class ShardPair:
    """The databases "first" and "second" of a cluster."""

    def __init__(
        self, first: Secret, second: Secret, folder: Path, *, keep_deleted: bool = False
    ) -> None:
        self.dsns = {"first": first, "second": second}
        for name in self.dsns:
            (folder / name).mkdir()
        self.folder = folder
        objects = {name: str(folder / name) for name in self.dsns}
        self.settings: ClusterSettings = settings(
            first,
            objects=objects["first"],
            inline=1000,
            keep_deleted=keep_deleted,
            shards={
                "second": settings(
                    second, objects=objects["second"], inline=1000, keep_deleted=keep_deleted
                )
            },
        )

    def sharded(self) -> ShardedStore:
        """Return the store of a node."""
        return ShardedStore(self.settings)

    async def move(self, target: str, owner: str = "ann", patience: float = 0) -> bool:
        async with open_shards(self.settings) as shards:
            return await Move(shards, owner, target).run(patience)

    async def killed_move(self, target: str, call: int, *, after: bool) -> bool:
        """Move, but let nothing happen from the call with this number on; return if it was killed.

        With `after`, this call still happens, but its reply is lost.
        """
        point = KillPoint(call, after=after)
        async with open_shards(self.settings) as shards:
            gated: Any = {
                name: GatedShard(shard, point.await_call) for name, shard in shards.items()
            }
            with suppress(KilledError):
                await Move(gated, "ann", target).run(0)
        return point.killed

    @contextmanager
    def stalled(self, call: int) -> Iterator[tuple[asyncio.Event, Gate]]:
        """Return an event at a call with this number, and what goes on after it was set."""
        calls = 0
        reached, go = asyncio.Event(), asyncio.Event()

        async def stall(work: Callable[[], Awaitable[object]]) -> object:
            nonlocal calls
            calls += 1
            if calls == call:
                reached.set()
                await go.wait()
            return await work()

        yield reached, stall
        go.set()

    async def served(self, owner: str = "ann") -> dict[str, bytes]:
        """Return what a client finds."""
        store = self.sharded()
        async with store.open():
            return await everything(store, owner)

    async def kept(self, owner: str = "ann") -> list[str]:
        """Return the unique-ids of the removed messages that an undeletion would find."""
        store = self.sharded()
        async with store.open():
            return [each.uid for each in await store.list_deleted(owner)]

    async def query(self, shard: str, sql: str) -> list[tuple[object, ...]]:
        return [tuple(row.values()) for row in await execute(self.dsns[shard], sql)]

    async def check(self, home: str, *, moved: bool = True) -> None:
        """The mail is in one database, and in good order there; the other one has nothing.

        With `moved`, it was in the other one, which refuses it now.
        """
        for name in self.dsns:
            owners = [owner for (owner,) in await self.query(name, "select owner from box")]
            assert owners == (["ann"] if name == home else [])
            assert await self.query(
                name,
                "select b.id from box b left join message m on m.box = b.id group by b.id"
                " having count(m.number) != b.messages or coalesce(sum(m.octets), 0) != b.octets",
            ) == []  # fmt: skip
            assert await self.query(
                name,
                "select 1 from message m full join body b on b.box = m.box"
                " and b.number = m.number where (b.box is null) != (m.object is not null)",
            ) == []  # fmt: skip
            used = {n for (n,) in await self.query(name, "select object from message")} - {None}
            known = {n for (n,) in await self.query(name, "select object from removed")}
            folder = self.folder / name
            bodies = {file.name for file in folder.rglob("*") if file.is_file()}
            assert used <= bodies <= used | known
        away = next(name for name in self.dsns if name != home)
        if moved:
            assert await self.query(away, "select owner from moved") == [("ann",)]
        assert await self.query(home, "select owner from moved") == []
        rows = await self.query("first", "select shard, move from directory")
        assert rows in ([(home, None)], [])
