"""Which database a bucket or folder belongs to.

An object there has the id of the database, and a token that each sweep renews. A sweep for another
database, such as one for tests, would find a bucket full of bodies without a row, and delete them.
So would one for an earlier state of the same database: a backup that was restored beside it, or a
standby that was behind when it became the primary. Their token is not the one of the object.
"""

from __future__ import annotations

import secrets
from enum import Enum
from typing import TYPE_CHECKING

from restante.storage.cluster.bodies import MissingBodyError
from restante.storage.errors import StoreError

if TYPE_CHECKING:
    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database

CLAIM = "restante-cluster"  # the name of the object

NO_OBJECTS = "messages have their bodies in an object store, and cluster.objects is not set; set it"

HAS_OUTSIDE = "select exists (select from message where object is not null)"
READ = "select id::text, tokens from cluster"
RENEW = """
update cluster set tokens = (tokens || $1::text)[greatest(1, cardinality(tokens) - 14):]
returning id::text
"""  # the last 16: two nodes may renew it at once, and end in the other order


class Claim(Enum):
    """Whose the bodies are, as the object there says."""

    OWN = "this database's, in this state"
    EARLIER = "this database's, in another state"
    FREE = "no database's"


async def has_outside(database: Database) -> bool:
    """Return whether a message has its body outside the database. Raises StoreError."""
    row = await database.fetchrow(HAS_OUTSIDE)
    return bool(row and row[0])


async def read_claim(database: Database, bodies: ObjectBodies) -> Claim:
    """Return whose the bodies are. Raises StoreError: they are another database's."""
    try:
        words = (await bodies.read_whole(CLAIM)).decode(errors="replace").split()
    except MissingBodyError:
        return Claim.FREE
    row = await database.fetchrow(READ)  # after it: another node notes a token before it is there
    assert row is not None
    if words[:1] != [row["id"]]:
        raise StoreError(
            f"{bodies.url} belongs to another cluster or shard, with another database; use another"
            f" bucket, prefix or folder, or delete the object {CLAIM} there to take it over",
            permanent=True,
        )
    return Claim.OWN if words[-1] in row["tokens"] else Claim.EARLIER


async def require_claim(database: Database, bodies: ObjectBodies) -> None:
    """Claim the bodies if no database has. Raises StoreError: they are another one's."""
    claim = await read_claim(database, bodies)
    if claim is Claim.FREE:
        await renew_claim(database, bodies)
    elif claim is Claim.EARLIER:
        raise StoreError(describe_earlier(bodies), permanent=True)


async def renew_claim(database: Database, bodies: ObjectBodies) -> None:
    """Claim the bodies for this state of the database. Raises StoreError."""
    token = secrets.token_hex(8)
    row = await database.fetchrow(RENEW, token)
    assert row is not None
    await bodies.put(CLAIM, f"{row[0]} {token}\n".encode(), owner="")


def describe_earlier(bodies: ObjectBodies) -> str:
    """Return what to do about bodies that another state of the database has swept."""
    return (
        f"{bodies.url} was swept for another state of this database, which was restored, copied or"
        " failed over; if this is the one to keep, run `pop3 store check --repair`, else use"
        " another bucket, prefix or folder"
    )
