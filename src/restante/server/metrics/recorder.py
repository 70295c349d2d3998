"""Counts what a server does, from the events of its log."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from restante.server.metrics import catalogue as metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from restante.server.metrics.catalogue import MetricSpec
    from restante.server.metrics.memory import MetricMemory

T = TypeVar("T")


class Recorder:
    """The observer of a server: `restante.server.observer`. It counts in its `memory`."""

    def __init__(
        self, memory: MetricMemory, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.memory = memory
        self._clock = clock
        self._sessions: set[str] = set()  # ids of those that have a maildrop
        self._counts: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
            "login": self._count_login,
            "login_failed": self._count_failed_login,
            "login_refused": self._by_code(metrics.LOGINS_REFUSED),
            "session": self._count_session,
            "trouble": self._by_code(metrics.TROUBLE),
            "incident": lambda _: memory.add(metrics.INCIDENTS),
            "delivered": self._count_delivery,
            "not_delivered": self._count_rejected,
            "not_taken": self._count_rejected,
            "expired": lambda event: memory.add(metrics.EXPIRED, number=event["messages"]),
            "worker_ended": self._count_worker_end,
            "not_reloaded": lambda _: memory.add(metrics.RELOADS_FAILED),
        }

    def note_event(self, event: Mapping[str, Any]) -> None:
        """Count an event, whether the log writes it or leaves it out."""
        self.memory.add(metrics.LOG_EVENTS, event["level"])
        count = self._counts.get(event["event"])
        if count is not None:
            count(event)

    def note_left_out(self) -> None:
        """Count an event that the log left out."""
        self.memory.add(metrics.LOG_LINES_LEFT_OUT)

    def note_lost_lines(self, lines: int) -> None:
        """Count lines of the log that were lost."""
        self.memory.add(metrics.LOG_LINES_LOST, number=lines)

    def note_limit(self, limit: str) -> None:
        """Count a client that a limit concerned."""
        self.memory.add(metrics.LIMITS_REACHED, _without_details(limit))

    def time_login(self, work: T) -> T:
        """Measure a check of credentials, and return its result, or what is to be awaited."""
        return self._time(metrics.LOGIN_SECONDS, work)

    def time_open(self, work: T, *, waits: bool) -> T:
        """Measure the opening of a maildrop in the same way."""
        if waits:
            work = self._time(metrics.LOCK_WAIT_SECONDS, work)
        return self._time(metrics.OPEN_SECONDS, work)

    def _time(self, metric: MetricSpec, work: T) -> T:
        if isinstance(work, Awaitable):
            return cast("T", self._await(metric, work))
        self.memory.observe(metric, 0)
        return work

    async def _await(self, metric: MetricSpec, work: Awaitable[object]) -> object:
        begun = self._clock()
        try:
            return await work
        finally:
            self.memory.observe(metric, self._clock() - begun)

    def _count_login(self, event: Mapping[str, Any]) -> None:
        version = event["tls"].partition(" ")[0] or "none"
        service = event.get("service", "")
        self.memory.add(metrics.LOGINS, service or "pop3", event["method"], version)
        if not service:
            self._sessions.add(event["session"])
            self.memory.put(metrics.SESSIONS, number=len(self._sessions))

    def _count_failed_login(self, event: Mapping[str, Any]) -> None:
        reason = _without_details(event["reason"])
        self.memory.add(metrics.LOGINS_FAILED, event["method"], reason)

    def _count_session(self, event: Mapping[str, Any]) -> None:
        memory, session = self.memory, event["session"]
        memory.add(metrics.CONNECTIONS, event["end"])
        memory.add(metrics.RECEIVED_BYTES, number=event["octets_in"])
        memory.add(metrics.SENT_BYTES, number=event["octets_out"])
        if session in self._sessions:
            self._sessions.remove(session)
            memory.put(metrics.SESSIONS, number=len(self._sessions))
            memory.add(metrics.RETRIEVED, number=event["retrieved"])
            memory.add(metrics.DELETED, number=event["deleted"])
            memory.observe(metrics.SESSION_SECONDS, event["seconds"])

    def _count_delivery(self, event: Mapping[str, Any]) -> None:
        self.memory.add(metrics.DELIVERIES, metrics.DELIVERED)
        self.memory.add(metrics.DELIVERED_BYTES, number=event["octets"])
        self.memory.observe(metrics.DELIVERY_SECONDS, event["seconds"])

    def _count_rejected(self, event: Mapping[str, Any]) -> None:
        code, status, _ = event["reply"].split(" ", 2)
        self.memory.add(metrics.DELIVERIES, f"{code} {status}")

    def _count_worker_end(self, event: Mapping[str, Any]) -> None:
        if event["level"] == "error":
            self.memory.add(metrics.WORKER_RESTARTS)

    def _by_code(self, metric: MetricSpec) -> Callable[[Mapping[str, Any]], object]:
        return lambda event: self.memory.add(metric, event["code"])


def _without_details(text: str) -> str:
    """Return a reason without what follows its colon."""
    return text.partition(": ")[0]
