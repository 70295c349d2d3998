"""This process as a node of the cluster: it holds leases, and says that it is alive.

A lease is a row with a random token and the name of a node. It is alive while its node is, and a
node is alive until the time in its row, by the clock of PostgreSQL. One update each quarter of that
time serves all sessions of the node. A node that comes too late is dead for good: its sessions have
lost their maildrops, and it goes on under a new name. The clock of this process only measures how
long ago the last beat was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import TYPE_CHECKING

from restante.storage.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.storage.cluster.database import Database

BEATS = 4  # in the time of a lease
UNUSED_AGE = 60  # seconds: a lease that no session has cannot be that of a login under way
RETRY_PAUSE = 0.5  # seconds after a beat that failed, at most

REGISTER = """
with dead as (delete from node where until < clock_timestamp() - interval '1 hour')
insert into node (id, until) values ($1, clock_timestamp() + $2::float8 * interval '1 s')
"""
BEAT = """
update node set seen = clock_timestamp(), until = clock_timestamp() + $2::float8 * interval '1 s'
where id = $1 and until > clock_timestamp() returning true
"""
RELEASE = """
update lease set node = null where box = any ($1::bigint[]) and token = any ($2::uuid[])
"""  # a token is in one row only
RELEASE_UNLOCKED = """
with mine as (
    select box from lease where box = any ($1::bigint[]) and token = any ($2::uuid[])
    for update skip locked
), freed as (update lease l set node = null from mine where l.box = mine.box)
select token from lease where box = any ($1::bigint[]) and token = any ($2::uuid[])
    and box <> all (select box from mine)
"""
ABANDON = """
with mine as (
    select l.box from unnest($1::text[], $2::uuid[]) as freed (owner, token)
    join box b on b.owner = freed.owner join lease l on l.box = b.id and l.token = freed.token
    for update of l skip locked
), freed as (update lease l set node = null from mine where l.box = mine.box)
select set_config('synchronous_commit', 'off', true), array(
    select l.token from box b join lease l on l.box = b.id
    where b.owner = any ($1::text[]) and l.token = any ($2::uuid[])
    and l.box <> all (select box from mine)
) as locked
"""
UNUSED = """
update lease l set node = null from box b
where b.owner = $1 and l.box = b.id and l.node = $2
    and l.taken < clock_timestamp() - $3::float8 * interval '1 s'
returning set_config('synchronous_commit', 'off', true)
"""


class Standing:
    """The life of a node under one name, which ends when it was silent for too long.

    Attributes:
        node: the name.
        is_lost: the life has ended, or has not begun: the node holds nothing.
    """

    __slots__ = ("is_lost", "node")

    def __init__(self, *, is_lost: bool = False) -> None:
        self.node = uuid.uuid4()
        self.is_lost = is_lost


class Node:
    """Beats, and frees leases in the background. `lease` is in seconds.

    `beats` is a database of its own: a beat must not wait for slow calls of sessions.
    """

    def __init__(
        self,
        database: Database,
        beats: Database,
        lease: float,
        on_dead: Callable[[], object] = lambda: None,
    ) -> None:
        self._database = database
        self._beats = beats
        self._lease = lease
        self._on_dead = on_dead
        self._loop = asyncio.get_running_loop()
        self._standing = Standing(is_lost=True)  # until the node is registered
        self._until = 0.0  # the end of its life unless a beat comes, by the clock of the loop
        self._expiry: asyncio.TimerHandle | None = None
        self._registering = asyncio.Lock()
        self._freed: list[tuple[int, uuid.UUID]] = []  # boxes and tokens, to be released
        self._abandoned: dict[uuid.UUID, tuple[str, float]] = {}  # owners, and until when to try
        self._has_locked = False  # a row of those is locked, as by a removal without its standby
        self._beating: asyncio.Task[None] | None = None
        self._freeing: asyncio.Task[None] | None = None

    async def stand(self) -> Standing:
        """Return the life of this node, which is registered and alive. Raises StoreError."""
        if self._is_alive():
            return self._standing
        async with self._registering:
            if not self._is_alive():
                await self._register()
        return self._standing

    def _is_alive(self) -> bool:
        return not self._standing.is_lost and self._loop.time() < self._until

    def release(self, box: int, token: uuid.UUID) -> None:
        """Free a lease in the background."""
        self._freed.append((box, token))
        self._free()

    def abandon(self, owner: str, token: uuid.UUID) -> None:
        """Free a lease that a broken-off login may have got, or may still get."""
        self._abandoned[token] = (owner, self._loop.time() + 2 * self._lease)
        self._free()

    async def free_unused(self, owner: str) -> None:
        """Free a lease of this node that no session has. Raises StoreError.

        The release of such a lease was lost: it reached another primary, or a login that was cut
        off was done later than `abandon` expects. A login that begins now makes the lease younger.
        """
        await self._database.fetch(UNUSED, owner, self._standing.node, UNUSED_AGE)

    async def close(self) -> None:
        """Free everything: without its row, the node holds nothing. Raises nothing."""
        tasks = [task for task in (self._beating, self._freeing) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._expiry is not None:
            self._expiry.cancel()
        if not self._standing.is_lost:
            with contextlib.suppress(StoreError):
                await self._beats.fetch("delete from node where id = $1", self._standing.node)

    async def _register(self) -> None:
        """Begin a life under a new name."""
        self._end_life()
        standing = Standing()
        sent = self._loop.time()
        await self._beats.fetch(REGISTER, standing.node, self._lease)
        self._standing = standing
        self._set_until(sent + self._lease)
        if self._beating is None or self._beating.done():
            self._beating = self._loop.create_task(self._beat_forever())

    def _set_until(self, until: float) -> None:
        self._until = until
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = self._loop.call_at(until, self._end_life)

    def _end_life(self) -> None:
        """End the sessions if the node has lost its maildrops."""
        if self._standing.is_lost:
            return
        self._standing.is_lost = True
        self._freed.clear()
        self._abandoned.clear()
        self._on_dead()

    async def _beat_forever(self) -> None:
        pause = self._lease / BEATS
        while True:
            await asyncio.sleep(pause)
            pause = self._lease / BEATS
            try:
                await self._beat()
            except StoreError:
                pause = min(pause, RETRY_PAUSE)
            self._free()

    async def _beat(self) -> None:
        """Say that the node is alive. Raises StoreError: PostgreSQL did not hear it."""
        if self._standing.is_lost:
            await self.stand()
            return
        standing, sent = self._standing, self._loop.time()
        alive = await self._beats.fetchrow(BEAT, standing.node, self._lease)
        if standing.is_lost:
            return
        if alive:
            self._set_until(sent + self._lease)
        else:
            self._end_life()

    def _free(self) -> None:
        if self._freeing is None and (self._freed or self._abandoned):
            self._freeing = self._loop.create_task(self._free_all())

    async def _free_all(self) -> None:
        """Free what was released so far, in one update; what fails is tried at the next beat."""
        try:
            await self._free_abandoned()
            await self._free_released()
        except StoreError:
            pass
        finally:
            self._freeing = None

    async def _free_released(self) -> None:
        """Free what was released, all but the leases that another transaction locks."""
        left: list[tuple[int, uuid.UUID]] = []
        try:
            while self._freed:
                left, self._freed = left + self._freed, []
                query = RELEASE_UNLOCKED if self._has_locked else RELEASE
                self._has_locked = True  # until the answer says otherwise
                rows = await self._database.fetch(query, *zip(*left, strict=True))
                locked = {row["token"] for row in rows}
                left = [release for release in left if release[1] in locked]
                self._has_locked = bool(left)
        finally:
            self._freed += left

    async def _free_abandoned(self) -> None:
        """Free the leases of broken-off logins, again and again: such a login may still be done.

        A lease is forgotten once it was freed at its time, and not before: without that, no other
        node could have the maildrop while this one lives.
        """
        if not self._abandoned:
            return
        now, attempts = self._loop.time(), list(self._abandoned.items())
        owners = [owner for _, (owner, _) in attempts]
        row = await self._database.fetchrow(ABANDON, owners, [token for token, _ in attempts])
        for token, (_, until) in attempts:
            if until < now and row and token not in row["locked"]:
                self._abandoned.pop(token, None)
