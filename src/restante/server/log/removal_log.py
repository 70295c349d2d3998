"""One log event for each message that is removed."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structlog.typing import FilteringBoundLogger

PIECE = 500  # events that are logged at once
PAUSE = 0.01  # seconds after each piece: the thread that writes the log has its turn


class LoggedRemoval(NamedTuple):
    """A message that was removed.

    Attributes:
        uid: its unique-id.
        octets: its size.
        arrived: when it came, in seconds since 1970; None if that is unknown.
        durable: the disk has synced the removal.
    """

    uid: str
    octets: int
    arrived: float | None
    durable: bool = True


class RemovalLog:
    """Logs the messages that a server removes.

    The log drops lines if more than 10,000 wait. So a removal of many messages is logged in pieces,
    for one maildrop at a time, and other sessions continue in between.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._turn = asyncio.Lock()

    async def note(self, messages: Sequence[LoggedRemoval], **names: str) -> None:
        """Log an event for each message; `names` has the user, and what removed it."""
        if len(messages) <= PIECE:
            self._note(messages, names)
            return
        async with self._turn:
            for begin in range(0, len(messages), PIECE):
                self._note(messages[begin : begin + PIECE], names)
                await asyncio.sleep(PAUSE)

    def _note(self, messages: Sequence[LoggedRemoval], names: dict[str, str]) -> None:
        now = time.time()
        for message in messages:
            facts: dict[str, object] = {"uid": message.uid, "octets": message.octets}
            if message.arrived is not None:
                facts["age"] = max(0, int(now - message.arrived))
            if not message.durable:
                facts["durable"] = "no"
            self._log.info("message_removed", **names, **facts)
