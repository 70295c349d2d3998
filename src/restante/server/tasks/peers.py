"""What a node of a cluster shares with the others, once a second: failed logins, and kicks.

Nothing of it is on the way of a login. While the store does not answer, nodes know less of each
other, and all else goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from restante.server.connection.connection import Connection
from restante.server.limits.peer_failures import PeerFailures
from restante.storage.interfaces import HasPeers, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from restante.server.context import ServerContext
    from restante.storage.interfaces import PeerNews

PAUSE = 1.0  # seconds between two exchanges


class PeerExchange:
    """Shares, again and again, what this process and the other nodes have noted."""

    def __init__(self, store: HasPeers, context: ServerContext, pause: float) -> None:
        self._store = store
        self._context = context
        self._pause = pause
        self._failing = False  # as last logged
        throttle = context.limits.throttle
        self._failures = throttle.peers = throttle.peers or PeerFailures()

    async def run(self) -> None:
        """Share until cancelled."""
        while True:
            try:
                await self.exchange()
                self._failing = False
            except StoreError as error:
                if not self._failing:
                    self._context.log.warning("trouble", error=str(error), code="SYS/TEMP")
                self._failing = True
            except Exception:  # no other code would restart the loop
                self._context.log.exception("incident", what="nodes share nothing for a moment")
            await asyncio.sleep(self._pause)

    async def exchange(self) -> None:
        """Share once. Raises StoreError."""
        changes = self._failures.take_changes()
        try:
            news = await self._store.share(changes)
        except BaseException:
            self._failures.put_back(changes)
            raise
        self._take(news)

    def _take(self, news: PeerNews) -> None:
        self._failures.set_key(news.key)
        now = time.monotonic()
        self._failures.merge((pair, number, now - age) for pair, number, age in news.failures)
        if news.kicks:
            now = asyncio.get_running_loop().time()
            kicks = {owner: now - age for owner, age in news.kicks.items()}
            for connection in self._context.connections:
                if isinstance(connection, Connection):
                    connection.stop_if_kicked(kicks)


@contextlib.asynccontextmanager
async def sharing_with_peers(context: ServerContext, pause: float = PAUSE) -> AsyncIterator[None]:
    """Share with the other nodes while the block runs, if the store has any."""
    if not isinstance(context.store, HasPeers):
        yield
        return
    task = asyncio.create_task(PeerExchange(context.store, context, pause).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
