"""The log of limits that are reached."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from restante.server.observer import ServerObserver

EVERY = 60  # seconds between two events about the same limit


class LimitLog:
    """Logs one event a minute for each limit, with what the administrator can do."""

    def __init__(
        self,
        log: FilteringBoundLogger,
        clock: Callable[[], float] = time.monotonic,
        observer: ServerObserver | None = None,
    ) -> None:
        self._log = log
        self._observer = observer
        self._clock = clock
        self._since: dict[str, tuple[float, int]] = {}  # by limit: the last event, and how often

    def note(self, limit: str, advice: str) -> None:
        """Log that a client was rejected, or had to wait, because of this limit."""
        if self._observer is not None:
            self._observer.note_limit(limit)
        now = self._clock()
        last, times = self._since.get(limit, (-math.inf, 0))
        if now - last < EVERY:
            self._since[limit] = last, times + 1
            return
        self._since[limit] = now, 0
        self._log.warning("limit_reached", limit=limit, times=times + 1, advice=advice)
