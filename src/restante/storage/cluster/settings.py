"""The settings of a cluster store: the section [cluster] of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from restante.protocol.secret import Secret

INLINE = 32_768
LEASE = 10.0
FIRST = "first"  # the name of the database among its shards
GRACE = 2_592_000  # 30 days
CONNECTIONS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """Where the mail is, and the limits. Times are in seconds.

    Attributes:
        dsn: the address of the database, "postgresql://...", with several hosts or one.
        objects: the URL of the object store for large bodies; "" keeps all bodies in PostgreSQL.
        objects_secret: the options of that object store, or None.
        inline: octets up to which a body is in PostgreSQL, if there is an object store.
        lease: the time after which a silent node has lost its maildrops.
        grace: the time that the object store keeps a removed body.
        connections: the limit of connections to PostgreSQL of a process, beside one for its beat.
        pooler: PgBouncer or the like is in front of PostgreSQL: no prepared statements, and no
            settings of a connection.
        keep_deleted: keep removed messages until a sweep deletes them.
        shards: further databases by their names, for owners that were moved there.
        patience: the time limit of a call to PostgreSQL in total, with the connection for it.
    """

    dsn: Secret = field(repr=False)
    objects: str = ""
    objects_secret: Secret | None = field(default=None, repr=False)
    inline: int = INLINE
    lease: float = LEASE
    grace: float = GRACE
    connections: int = CONNECTIONS
    pooler: bool = False
    keep_deleted: bool = False
    shards: Mapping[str, ClusterSettings] = field(default_factory=dict)
    patience: float = 5
