"""The move of one owner's mail to another database. It can be killed at any moment and run again.

The box is hidden in the source, copied, and made known in the target. One row of the directory
decides where the mail is. Until the move ends, deliveries are deferred and logins get [SYS/TEMP].
Each step is one transaction that names the move by its random id. So a run that stood still while
another one ended the move changes nothing.
"""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, NamedTuple

from restante.storage.cluster.bodies import new_name
from restante.storage.cluster.errors import MovedError
from restante.storage.cluster.schema import HIDDEN_PREFIX, KEPT_PREFIX
from restante.storage.cluster.settings import FIRST
from restante.storage.cluster.shards import FIND, get_shard
from restante.storage.cluster.transfer.transfer import (
    PATIENCE,
    SLOWEST,
    batches,
    put_bodies,
    read_body,
)
from restante.storage.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import asyncpg

    from restante.storage.cluster.database import Database
    from restante.storage.cluster.shards import Shard

MAX_OCTETS = 4 * 1024 * 1024  # of a batch, unless it is one message
MAX_UIDS = 10_000  # of imported messages in one call
MAX_DELETED = 5_000  # messages in one call

BEGIN = "select * from begin_move($1, $2, $3)"
HIDE = "select hide_box($1, $2, $3, $4)"
HIDDEN = """
select m.move from moved m join box b on b.owner = hidden_owner(m.owner)
where m.owner = $1 and m.part = 'source'
"""
PREPARE = "select prepare_box($1, $2, $3)"
STATE = """
select b.id, b.last_number, b.quota_octets, b.quota_messages,
    i.last_number as last_imported, i.opened,
    (select count(*) from message m where m.box = b.id) as messages
from box b left join import_box i on i.box = b.id where b.owner = hidden_owner($1)
"""
LAST = "select max(number) from message where box = $1"
LIST = """
select number, uid, octets, stored, arrived, object from message
where box = $1 and ($2::bigint is null or number > $2) order by number
"""
CONTENTS = "select number, content from body where box = $1 and number = any ($2)"
COLUMNS = ("number", "uid", "octets", "stored", "arrived")
COPY = "select copy_many($1, $2, $3, $4, $5, $6, $7, $8, $9)"
IMPORTED = "select uid from imported where box = $1 and uid > $2 order by uid limit $3"
COPY_IMPORTED = "select copy_imported($1, $2, $3)"
END_COPY = "select end_copy($1, $2, $3, $4, $5, $6, $7, $8)"
DECIDE = "select decide_move($1, $2, $3)"
IS_CURRENT = "select exists (select from directory where owner = $1 and move = $2)"
OPEN = "select open_moved_box($1, $2)"
ABANDON = "select abandon_move($1, $2)"
CLEAR = "select clear_box($1, $2, $3)"
END = "select end_move($1, $2)"
DECIDED = "select target from directory where owner = $1 and move is not null and shard = target"
PLACE = """
insert into directory as d (owner, shard) values ($1, $2)
on conflict (owner) do update set shard = excluded.shard where d.move is null and d.shard = $3
"""
IS_UNDER_WAY = """
select true from directory where owner = $1 and move is not distinct from $2
    and coalesce(target, shard) = $3 for update
"""


async def has_mail(shards: Mapping[str, Shard], owner: str) -> bool:
    """Return whether an owner has a box, if only for removed mail. Raises StoreError."""
    boxes = owner, KEPT_PREFIX + owner, HIDDEN_PREFIX + owner
    return any([await shard.store.has(box) for shard in shards.values() for box in boxes])


class _Plan(NamedTuple):
    """A move that has begun: its id, where the mail comes from, and whether it is decided."""

    id: uuid.UUID
    source: str
    is_decided: bool


class Move:
    """A move of an owner's mail, and of the removed messages that are kept, a box of their own.

    `on_progress` gets the messages copied, and all messages of a box.
    """

    def __init__(
        self,
        shards: Mapping[str, Shard],
        owner: str,
        target: str,
        on_progress: Callable[[int, int], object] = lambda _copied, _all: None,
        beside: tuple[str, uuid.UUID | None, str] | None = None,
    ) -> None:
        """`beside`: the owner, the id and the target of the move that this one belongs to."""
        self._beside = beside
        self._shards = shards
        self._owner = owner
        self._target = target
        self._on_progress = on_progress

    @property
    def _directory(self) -> Database:
        """The database that says where the mail of each owner is."""
        return self._shards[FIRST].database

    async def run(self, patience: float) -> bool:
        """Move the mail, or end the move that has begun; return False if it is there already.

        Waits at most `patience` seconds for a session to end. Raises BusyError, StoreError: the
        same move can be run again, or taken back by a move to the source.
        """
        target = get_shard(self._shards, self._target).database
        stale = await self._find_hidden(target)
        plan = await self._begin()
        if plan is None:
            if stale is not None:  # of a run that stood still until its move was taken back
                await target.fetch(OPEN, self._owner, stale, patience=PATIENCE)
            return await self._move_kept(None, patience)
        source = get_shard(self._shards, plan.source)
        try:
            await self._move(source, plan, patience)
        except StoreError:
            with contextlib.suppress(StoreError):
                await self._give_up(source.database, plan)
            raise
        return True

    async def _move(self, source: Shard, plan: _Plan, patience: float) -> None:
        if not plan.is_decided:
            await self._hide(source, plan, patience)
            await self._copy(source, plan)
        await self._move_kept(plan.id, patience)
        if not plan.is_decided:
            await self._decide(plan)
        if not await self._open(plan):
            await self._copy(source, plan)
            if not await self._open(plan):
                raise MovedError("the copy is not complete")
        await self._clear(source.database, plan)
        await self._directory.fetch(END, self._owner, plan.id, patience=PATIENCE)

    async def _move_kept(self, move: uuid.UUID | None, patience: float) -> bool:
        """Move the removed messages while their owner's box is hidden, so that none are added."""
        if self._owner.startswith(KEPT_PREFIX):
            return False
        kept_owner = KEPT_PREFIX + self._owner
        if not await self._place_kept(kept_owner):
            return False
        beside = self._owner, move, self._target
        moves = [
            await Move(self._shards, kept_owner, target, self._on_progress, beside).run(patience)
            for target in await self._find_targets(kept_owner)
        ]
        return any(moves)

    async def _place_kept(self, kept_owner: str) -> bool:
        """Note in the directory where the removed messages are; return False if there are none.

        They are where the mail was when they were removed. A directory that has a move of them
        under way is right, and another one may not be: it says "first" of what it does not know.
        """
        row = await self._directory.fetchrow(FIND, kept_owner, patience=PATIENCE)
        noted = row[0] if row else None
        places = [name for name, shard in self._shards.items() if await shard.store.has(kept_owner)]
        hidden = [
            await shard.store.has(HIDDEN_PREFIX + kept_owner) for shard in self._shards.values()
        ]
        if places and noted not in places:
            await self._directory.fetch(PLACE, kept_owner, places[0], noted, patience=PATIENCE)
        return bool(places) or any(hidden)

    async def _find_targets(self, kept_owner: str) -> list[str]:
        """Return the shards to move to in turn: a move that is decided must be finished first."""
        row = await self._directory.fetchrow(DECIDED, kept_owner, patience=PATIENCE)
        decided = row[0] if row else self._target
        return [self._target] if decided == self._target else [decided, self._target]

    async def _begin(self) -> _Plan | None:
        row = await self._directory.run(self._begin_on, PATIENCE)
        if row is None or row["move"] is None:
            return None
        return _Plan(row["move"], row["source"], row["shard"] == self._target)

    async def _begin_on(self, connection: asyncpg.Connection) -> asyncpg.Record | None:
        async with connection.transaction():
            if self._beside is not None and not await connection.fetchval(
                IS_UNDER_WAY, *self._beside
            ):
                raise MovedError("another run has ended this move")
            return await connection.fetchrow(BEGIN, self._owner, uuid.uuid4(), self._target)

    async def _find_hidden(self, database: Database) -> uuid.UUID | None:
        """Return the id of the move for which the owner's box is hidden, if it is a source."""
        row = await database.fetchrow(HIDDEN, self._owner, patience=PATIENCE)
        return row["move"] if row else None

    async def _hide(self, source: Shard, plan: _Plan, patience: float) -> None:
        """Hide the box in the source, unless an earlier run has. Raises BusyError, StoreError."""
        hidden = await self._find_hidden(source.database)
        if hidden == plan.id:
            return
        if hidden is not None:  # as above
            await source.database.fetch(OPEN, self._owner, hidden, patience=PATIENCE)
        maildrop = await source.store.acquire(self._owner, patience)
        try:
            await source.database.fetch(
                HIDE, self._owner, maildrop.token, plan.id, self._target, patience=PATIENCE
            )
        finally:
            maildrop.release()

    async def _copy(self, source: Shard, plan: _Plan) -> None:
        """Copy the hidden box, from where an earlier run has ended."""
        target = self._shards[self._target]
        row = await target.database.fetchrow(
            PREPARE, self._owner, plan.id, plan.source, patience=PATIENCE
        )
        state = await source.database.fetchrow(STATE, self._owner, patience=PATIENCE)
        if row is None or state is None:
            raise MovedError("another run has ended this move")
        last_row = await target.database.fetchrow(LAST, row[0], patience=PATIENCE)
        rows = await source.database.fetch(
            LIST, state["id"], last_row[0] if last_row else None, patience=PATIENCE
        )
        count = state["messages"] - len(rows)
        for batch in batches(rows, MAX_OCTETS):
            await self._copy_batch(source, target, plan, state["id"], batch)
            count += len(batch)
            self._on_progress(count, state["messages"])
        await self._copy_imported(source.database, target.database, plan, state["id"])
        await target.database.fetch(
            END_COPY, self._owner, plan.id, state["messages"], state["last_number"],
            state["last_imported"], state["opened"], state["quota_octets"],
            state["quota_messages"], patience=PATIENCE,
        )  # fmt: skip

    async def _copy_batch(
        self,
        source: Shard,
        target: Shard,
        plan: _Plan,
        box: int,
        rows: Sequence[asyncpg.Record],
    ) -> None:
        patience = PATIENCE + sum(row["stored"] for row in rows) / SLOWEST
        inline_numbers = [row["number"] for row in rows if row["object"] is None]
        body_rows = await source.database.fetch(CONTENTS, box, inline_numbers, patience=patience)
        contents = {row["number"]: row["content"] for row in body_rows}
        if len(contents) < len(inline_numbers):
            if await self._find_hidden(source.database) != plan.id:
                raise MovedError("another run has ended this move")
            missing = len(inline_numbers) - len(contents)
            raise StoreError(
                f"the database lacks the bodies of {missing} of the messages; move the mail back to"
                f" {plan.source}, and run `pop3 store check`"
            )
        objects: list[str | None] = []
        for row in rows:
            if row["object"] is not None:
                contents[row["number"]] = await read_body(source.bodies, row)
            outside = target.bodies is not None and row["stored"] > target.inline
            objects.append(new_name() if outside else None)
        bodies = [
            (name, contents[row["number"]], row["arrived"])
            for row, name in zip(rows, objects, strict=True)
        ]
        await put_bodies(target.database, target.bodies, self._owner, bodies)
        await target.database.fetch(
            COPY,
            self._owner,
            plan.id,
            *([row[column] for row in rows] for column in COLUMNS),
            objects,
            [
                contents[row["number"]] if name is None else None
                for row, name in zip(rows, objects, strict=True)
            ],
            patience=patience,
        )

    async def _copy_imported(
        self, source: Database, target: Database, plan: _Plan, box: int
    ) -> None:
        """Copy which messages were imported, so that a later import adds none again."""
        last_uid = ""
        while rows := await source.fetch(IMPORTED, box, last_uid, MAX_UIDS, patience=PATIENCE):
            uids = [row["uid"] for row in rows]
            await target.fetch(COPY_IMPORTED, self._owner, plan.id, uids, patience=PATIENCE)
            last_uid = uids[-1]

    async def _decide(self, plan: _Plan) -> None:
        row = await self._directory.fetchrow(
            DECIDE, self._owner, plan.id, self._target, patience=PATIENCE
        )
        if row is None or not row[0]:
            raise MovedError("another run has taken this move back")

    async def _give_up(self, source: Database, plan: _Plan) -> None:
        """End what this run has done since another run has ended the move, if one has."""
        row = await self._directory.fetchrow(IS_CURRENT, self._owner, plan.id, patience=PATIENCE)
        if row and not row[0]:
            for database in (source, self._shards[self._target].database):
                await database.fetch(ABANDON, self._owner, plan.id, patience=PATIENCE)

    async def _open(self, plan: _Plan) -> bool:
        """Let logins and deliveries into the target; return False if its copy is not complete."""
        target = self._shards[self._target].database
        row = await target.fetchrow(OPEN, self._owner, plan.id, patience=PATIENCE)
        return bool(row and row[0])

    async def _clear(self, source: Database, plan: _Plan) -> None:
        """Delete what is left in the source, some messages at a time."""
        has_more = True
        while has_more:
            row = await source.fetchrow(CLEAR, self._owner, plan.id, MAX_DELETED, patience=PATIENCE)
            has_more = bool(row and row[0])
