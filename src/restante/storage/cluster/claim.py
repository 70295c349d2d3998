"""Which cluster a bucket or folder belongs to.

An object there has the id that the tables were created with. A bucket of another cluster, such as a
copy of it for tests, would look full of bodies without a row, and the sweep would delete them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.storage.cluster.bodies import MissingBodyError
from restante.storage.interfaces import StoreError

if TYPE_CHECKING:
    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database

CLAIM = "restante-cluster"  # the name of the object


async def check_claim(database: Database, bodies: ObjectBodies) -> None:
    """Claim the bodies for a cluster, unless it has. Raises StoreError: they are of another one."""
    row = await database.fetchrow("select id::text from cluster")
    own = str(row[0] if row else "").encode()
    try:
        found = await bodies.get(CLAIM)
    except MissingBodyError:
        await bodies.put(CLAIM, own, owner="")
        found = await bodies.get(CLAIM)
    if found != own:
        raise StoreError(
            f"{bodies.url} belongs to another cluster or shard, with another database; use another"
            f" bucket, prefix or folder, or delete the object {CLAIM} there to take it over",
            permanent=True,
        )
