"""Each removed message is in the log, with its age."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest
import structlog
from structlog.typing import EventDict

from restante.server.log import removal_log
from restante.server.log.event_log import MAX_WAITING
from restante.server.log.removal_log import PIECE, LoggedRemoval, RemovalLog


def collecting() -> tuple[RemovalLog, list[EventDict]]:
    """Return a log, and the list of its events."""
    events: list[EventDict] = []

    def collect(_logger: object, _method: str, event: EventDict) -> EventDict:
        events.append(event)
        raise structlog.DropEvent

    return RemovalLog(structlog.wrap_logger(None, processors=[collect])), events


def test_each_message_has_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event has the unique-id, the size and the age, if it is known."""
    monkeypatch.setattr(time, "time", lambda: 1000)
    log, events = collecting()
    messages = [LoggedRemoval("a", 12, 990.5), LoggedRemoval("b", 7, None)]
    asyncio.run(log.note(messages, user="ann", by="pop3"))
    names = {"event": "message_removed", "user": "ann", "by": "pop3"}
    assert events == [
        {**names, "uid": "a", "octets": 12, "age": 9},
        {**names, "uid": "b", "octets": 7},
    ]


def test_many_removals_leave_turns_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two removals of many messages are logged in pieces, one maildrop after the other."""
    monkeypatch.setattr(removal_log, "PAUSE", 0)
    log, events = collecting()
    seen: list[int] = []

    async def watch() -> None:
        while len(events) < 4 * PIECE:
            seen.append(len(events))
            await asyncio.sleep(0)

    async def run() -> None:
        messages = [LoggedRemoval("a", 12, None)] * 2 * PIECE
        await asyncio.gather(watch(), *(log.note(messages, user=name) for name in ("ann", "bob")))

    asyncio.run(run())
    assert [event["user"] for event in events] == ["ann"] * 2 * PIECE + ["bob"] * 2 * PIECE
    steps = [after - before for before, after in itertools.pairwise(seen)]
    assert max(steps) <= PIECE < MAX_WAITING
