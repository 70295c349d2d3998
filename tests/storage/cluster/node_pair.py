"""Two nodes with stores on one database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from restante.protocol.secret import Secret
from restante.storage.cluster import ClusterStore
from support.cluster import settings

Work = Callable[[ClusterStore, ClusterStore], Awaitable[None]]


def at_two_nodes(dsn: Secret, work: Work) -> None:
    """Do something with the stores of two nodes."""

    async def run() -> None:
        first, second = (ClusterStore(settings(dsn)) for _ in range(2))
        async with first.open(), second.open():
            await work(first, second)

    asyncio.run(run())
