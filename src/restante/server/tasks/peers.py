"""The exchange of a node with the others, once a second: failed logins, kicks, and more.

Nothing of it is on the way of a login. While the store does not answer, nodes know less of each
other, and all else goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from restante.auth.app_passwords.digests import key_of
from restante.auth.usernames import lock_key
from restante.protocol.server.session import EndReason
from restante.server.limits.peer_failures import PeerFailures
from restante.storage.errors import StoreError
from restante.storage.peers import AsksPeers, HasPeers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from restante.server.context import ServerContext
    from restante.server.control.service import ControlService
    from restante.storage.peers import PeerNews, PeerRequest

PAUSE = 1.0  # seconds between two exchanges


class PeerExchange:
    """Shares, again and again, what this process and the other nodes have noted.

    `service` answers the requests of other nodes.
    """

    def __init__(
        self, store: HasPeers, context: ServerContext, pause: float, service: ControlService
    ) -> None:
        self._store = store
        self._context = context
        self._pause = pause
        self._service = service
        self._failing = False  # as last logged
        throttle = context.limits.throttle
        self._failures = throttle.peers = throttle.peers or PeerFailures()

    async def run(self) -> None:
        """Share until cancelled. A fault that lasts is logged once."""
        while True:
            try:
                await self.exchange()
                self._failing = False
            except StoreError as error:
                if not self._failing:
                    self._context.log.warning("trouble", error=str(error), code="SYS/TEMP")
                self._failing = True
            except Exception:  # no other code would restart the loop
                if not self._failing:
                    self._context.log.exception("incident", what="nodes share nothing for a moment")
                self._failing = True
            await asyncio.sleep(self._pause)

    async def exchange(self) -> None:
        """Share once. Raises StoreError."""
        changes = self._failures.take_changes()
        try:
            news = await self._store.share(changes)
        except BaseException:
            self._failures.put_back(changes)
            raise
        received = asyncio.get_running_loop().time()
        answers = [
            (peer_request, await self._answer(peer_request, received))
            for peer_request in news.requests
        ]
        # after the answers, since a kick also comes as a request, which counts
        self._take(news, received)
        if isinstance(self._store, AsksPeers):
            for request, answer in answers:
                if answer is not None:
                    await self._store.answer_request(request.id, answer)

    async def _answer(self, request: PeerRequest, received: float) -> bytes | None:
        """Answer a request, which has aged while those before it were answered."""
        age = request.age + asyncio.get_running_loop().time() - received
        return await self._service.answer_node(request.content, age)

    def _take(self, news: PeerNews, received: float) -> None:
        """Use the news that came at a time of the event loop."""
        self._failures.set_key(news.key)
        received_at = time.monotonic() - (asyncio.get_running_loop().time() - received)
        self._failures.merge(
            (pair, number, received_at - age) for pair, number, age in news.failures
        )
        if news.kicks or news.revoked or news.locked:
            self._end_sessions(news, received)

    def _end_sessions(self, news: PeerNews, received: float) -> None:
        kicks = {owner: received - age for owner, age in news.kicks.items()}
        revoked = frozenset(map(key_of, news.revoked))
        for connection in self._context.connections:
            connection.stop_if_kicked(kicks)
            connection.stop_if_revoked(lambda key: key not in revoked)
            if news.locked and lock_key(connection.user) in news.locked:
                connection.stop(EndReason.ACCOUNT)


@contextlib.asynccontextmanager
async def sharing_with_peers(
    context: ServerContext, service: ControlService | None = None, pause: float = PAUSE
) -> AsyncIterator[None]:
    """Share with the other nodes while the block runs, if the store has any.

    `service` answers their requests. Without one, they learn of sessions alone.
    """
    if not isinstance(context.store, HasPeers):
        yield
        return
    if service is None:
        from restante.server.control.service import ControlService

        service = ControlService(context)
    task = asyncio.create_task(PeerExchange(context.store, context, pause, service).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
