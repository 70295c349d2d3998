"""Removed messages that are kept for a while: they are in another box of the same database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.storage.cluster.peers import CLOCK_DIFFERENCE
from restante.storage.errors import StoreError
from restante.storage.removals import MAX_HEADER_OCTETS, DeletedMessage, header_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    import asyncpg

    from restante.storage.age_limit import AgeLimit
    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database
    from restante.storage.cluster.maildrop import ClusterMaildrop

MAX_SWEPT = 1000  # messages that one call deletes
MAX_BOXES = 10_000  # in one query
MAX_BEGINNINGS = 500  # of bodies in one query: 8 MiB
PATIENCE = 60.0  # seconds for a call

LIST = """
select m.number, m.uid, m.stored, m.arrived, coalesce(m.removed, clock_timestamp()) as removed,
    m.object
from message m join box b on b.id = m.box where b.owner = kept_owner($1)
order by m.removed, m.number
"""
BEGINNINGS = """
select c.number, substr(c.content, 1, $3::int) from body c join box b on b.id = c.box
where b.owner = kept_owner($1) and c.number = any ($2::bigint[])
"""
RESTORE = """
select uid, stored, arrived, coalesce(removed, clock_timestamp()) as removed
from restore_many($1, $2, $3)
"""  # after a move, the time is not known until the next sweep
BOXES = """
select id, substr(owner, 2) as owner from box
where starts_with(owner, chr(2)) and messages > 0 and id > $1 order by id limit $2
"""
SWEEP = """
with kept as materialized (
    select id from box where id = $1 and starts_with(owner, chr(2)) for update
)
select sweep_kept(
    id, $2 + ceil(greatest(0, extract(epoch from clock_timestamp()) - $4) / 86400)::int, $3
) from kept
"""  # a move may have begun: it counts what it copies, and the days begin anew at its end


async def list_deleted(
    database: Database, owner: str, bodies: ObjectBodies | None, *, headers: bool
) -> list[DeletedMessage]:
    """Return the removed messages of an owner, the first removed first. Raises StoreError.

    With `headers`, each has its header, unless its body cannot be read.
    """
    rows = await database.fetch(LIST, owner, patience=PATIENCE)
    if not headers:
        return [_message(row) for row in rows]
    messages = []
    for start in range(0, len(rows), MAX_BEGINNINGS):
        page = rows[start : start + MAX_BEGINNINGS]
        numbers = [row["number"] for row in page if row["object"] is None]
        inside = dict(
            await database.fetch(BEGINNINGS, owner, numbers, MAX_HEADER_OCTETS, patience=PATIENCE)
        )
        for row in page:
            beginning = inside.get(row["number"], b"")
            if row["object"] is not None and bodies is not None:
                beginning = await _read_beginning(bodies, row["object"])
            messages.append(_message(row)._replace(header=header_of(beginning)))
    return messages


async def _read_beginning(bodies: ObjectBodies, name: str) -> bytes:
    try:
        body = await bodies.get(name, first=MAX_HEADER_OCTETS)
        if isinstance(body, bytes):
            return body
        try:
            return await anext(aiter(body))
        finally:
            await body.aclose()
    except (StoreError, StopAsyncIteration):
        return b""


async def restore(
    database: Database, maildrop: ClusterMaildrop, uids: Collection[str]
) -> list[DeletedMessage]:
    """Restore removed messages of the owner of an open maildrop. Raises LostError, StoreError."""
    call = (RESTORE, maildrop.box, maildrop.token, list(uids))
    return [_message(row) for row in await database.fetch(*call, patience=PATIENCE)]


async def sweep(
    database: Database, limit: AgeLimit, report: Callable[[str, str], object]
) -> AsyncIterator[int]:
    """Delete what was removed at least some days ago, and yield the number of each transaction.

    A database whose clock has jumped ahead keeps messages for as many days more. Raises StoreError:
    the boxes cannot be listed.
    """
    latest_clock = limit.now + CLOCK_DIFFERENCE
    last_id = 0
    while boxes := await database.fetch(BOXES, last_id, MAX_BOXES, patience=PATIENCE):
        for box in boxes:
            count = MAX_SWEPT
            while count == MAX_SWEPT:
                try:
                    row = await database.commit(
                        SWEEP, box["id"], limit.days, MAX_SWEPT, latest_clock, patience=PATIENCE
                    )
                except StoreError as error:
                    report(box["owner"], str(error))
                    break
                count = row[0] if row else 0
                yield count
        last_id = boxes[-1]["id"]


def _message(row: asyncpg.Record) -> DeletedMessage:
    arrived, removed = row["arrived"].timestamp(), row["removed"].timestamp()
    return DeletedMessage(row["uid"], row["stored"], arrived, removed)
