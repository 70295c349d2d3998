"""A delivery for tests of `pop3 verify`, without LMTP."""

from __future__ import annotations

from support.live import Live


class InMemory:
    """Delivers into the server's own store."""

    exact = True

    def __init__(self, live: Live) -> None:
        self._live = live

    def put(self, message: bytes) -> None:
        self._live.call(self._live.context.store.deliver("ann", message))

    def clean_up(self) -> None:
        pass
