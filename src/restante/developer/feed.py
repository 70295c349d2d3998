"""The events of developer mode: a bounded list, for threads and for event loops.

One lock guards the whole state of developer mode, `EventFeed.lock`. Each change of it publishes an
event, so that a reader that waits is woken and need not ask again and again.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")

MAX_EVENTS = 10_000  # that are remembered
LONGEST_WAIT = threading.TIMEOUT_MAX / 2  # seconds: some centuries; a longer one is an error
MAX_WAITERS = 256  # event loops' waits and readers at once


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """Something that happened.

    Attributes:
        id: 1-based, one more for each event.
        kind: one of these, with its data:
            "delivered"  a message came: `id`, `mailbox`, `session`
            "fetched"    a session retrieved a message: `id`, `mailbox`, `session`
            "marked"     a mark was set or cleared: `id`, `mailbox`, `session`, `marked`
            "removed"    a message was removed: `id`, `mailbox`, `session`
            "tagged"     the tags of a message changed: `id`, `mailbox`, `tags`
            "read"       a message was opened on the page, or marked: `id`, `mailbox`, `read`
            "session"    a session began, ended, or changed its state: `number`
            "line"       a line of a conversation: `session`, `number`, `time`, `sender`, `text`,
                         `mail`
            "faults"     faults were switched on or off: `on`
            "stopped"    the page of the server stops
        data: texts, tuples of them, numbers, booleans and None; `id` is the number of a message,
            `session` the number of a session, or None for none.
    """

    id: int
    kind: str
    data: Mapping[str, object]


class TooManyWaitersError(Exception):
    """As many readers wait for events as are allowed."""


class EventFeed:
    """The events of one server. All methods may be called from any thread.

    The oldest events are forgotten; a reader that is slower than that misses them.
    """

    def __init__(self, most: int = MAX_EVENTS) -> None:
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._events: deque[FeedEvent] = deque(maxlen=most)
        self._wakers: set[Callable[[], object]] = set()
        self._last = 0

    @property
    def last(self) -> int:
        """The id of the latest event, 0 before the first."""
        return self._last

    def publish(self, kind: str, **data: object) -> None:
        """Remember an event, and wake all readers."""
        with self.lock:
            self._last += 1
            self._events.append(FeedEvent(self._last, kind, data))
            self._changed.notify_all()
            for wake in tuple(self._wakers):
                wake()

    def after(self, number: int) -> list[FeedEvent]:
        """Return the events that came after the one with this id, and are not forgotten."""
        with self.lock:
            missing = max(0, self._last - number)
            return list(itertools.islice(reversed(self._events), missing))[::-1]

    def wait_for(self, find: Callable[[], T], timeout: float) -> T:
        """Return the first result of `find` that is true, or its last one after `timeout` seconds.

        `find` is called at once, and after each event.
        """
        until = time.monotonic() + min(timeout, LONGEST_WAIT)
        while True:
            seen = self._last
            result = find()
            if result:
                return result
            with self.lock:
                while self._last == seen:
                    if not self._changed.wait(until - time.monotonic()):
                        return find()

    async def wait_for_async(self, find: Callable[[], T], timeout: float) -> T:  # noqa: ASYNC109  # as in wait_for
        """Return what `wait_for` does, in an event loop. Raises TooManyWaitersError."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        with self._waking() as woken:
            while True:
                woken.clear()
                result = find()
                if result:
                    return result
                try:
                    async with asyncio.timeout_at(until):
                        await woken.wait()
                except TimeoutError:
                    return find()

    def reader(self, after: int | None = None) -> FeedReader:
        """Return a reader of the events that follow `after`, None for those to come."""
        return FeedReader(self, self._last if after is None else after)

    @contextlib.contextmanager
    def _waking(self) -> Iterator[asyncio.Event]:
        """Give an event of asyncio that is set when something happens."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(woken.set)

        with self.lock:
            if len(self._wakers) >= MAX_WAITERS:
                raise TooManyWaitersError
            self._wakers.add(wake)
        try:
            yield woken
        finally:
            with self.lock:
                self._wakers.discard(wake)


class FeedReader:
    """Reads the events of a feed one by one, in an event loop."""

    def __init__(self, feed: EventFeed, place: int) -> None:
        self._feed = feed
        self._place = place  # the id of the event that was read last
        self._found: deque[FeedEvent] = deque()

    async def next(self, seconds: float) -> FeedEvent | None:
        """Return the next event, None if none comes within `seconds`.

        Others have their turn before each event. Of a reader that has missed thousands, the loop
        would notice the end only after all of them. Raises TooManyWaitersError.
        """
        await asyncio.sleep(0)
        if not self._found:
            feed = self._feed
            self._found.extend(await feed.wait_for_async(lambda: feed.after(self._place), seconds))
        if not self._found:
            return None
        event = self._found.popleft()
        self._place = event.id
        return event
