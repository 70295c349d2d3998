"""How much mail a maildrop of a cluster has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.quota import MailUsage, Quota

if TYPE_CHECKING:
    from restante.storage.cluster.database import Database

USAGE = "select octets, messages, quota_octets, quota_messages from box where owner = $1"


async def read_usage(database: Database, owner: str, quota: Quota) -> tuple[MailUsage, Quota]:
    """Return how much mail an owner has on the wire, and the quota: its own, or the one given.

    The sums are of the same transactions as the mail. Raises StoreError.
    """
    row = await database.fetchrow(USAGE, owner)
    if row is None:
        return MailUsage(0, 0), quota
    own_quota = Quota(row["quota_octets"], row["quota_messages"])
    return MailUsage(row["octets"], row["messages"]), own_quota.or_default(quota)
