"""What the conversations of one process share, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from restante.delivery.lmtp import LmtpConnection, SmtpConnection

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from restante.delivery.data import MemoryBudget
    from restante.delivery.deliverer import Deliverer
    from restante.delivery.replies import DeliveryReply

T = TypeVar("T")

FINISHING = 2  # seconds, beyond its time, for a delivery to end before the server does


@dataclass(kw_only=True)
class DeliverySessions:
    """Where peers bring mail."""

    office: Deliverer
    room: MemoryBudget
    message_size: int  # octets
    most_connections: int
    host: str
    patience: float  # seconds for a peer's next command
    received: bool = False  # whether to write a Received line by LMTP too
    unknown_hint: str = ""  # what else to say of an unknown recipient
    _stopping: bool = field(init=False, default=False)
    _conversations: set[SmtpConnection] = field(init=False, default_factory=set)
    _work: set[asyncio.Task[Any]] = field(init=False, default_factory=set)
    _changed: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    def lmtp(self) -> asyncio.Protocol:
        """Return what talks to a new peer by LMTP."""
        return LmtpConnection(self) if self._has_room() else RejectConnection()

    def smtp(self) -> asyncio.Protocol:
        """Return what talks to a new peer by SMTP."""
        return SmtpConnection(self) if self._has_room() else RejectConnection()

    def _has_room(self) -> bool:
        return len(self._conversations) < self.most_connections

    def add(self, conversation: SmtpConnection) -> None:
        """Count a conversation in."""
        self._conversations.add(conversation)
        if self._stopping:
            conversation.say_goodbye()

    def remove(self, conversation: SmtpConnection) -> None:
        """Count a conversation out."""
        self._conversations.discard(conversation)
        self._changed.set()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin work that is carried to its end, whether its peer stays or not."""
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    def log_rejected(self, sender: str, recipients: Iterable[str], outcome: DeliveryReply) -> None:
        """Write to the log that a message or a recipient was not taken."""
        for recipient in recipients:
            self.office.log.info(
                "not_taken", sender=sender, recipient=recipient, reply=str(outcome)
            )

    async def stop(self, patience: float) -> None:
        """End all conversations: a message that came whole is delivered and answered first."""
        self._stopping = True
        for conversation in tuple(self._conversations):
            conversation.say_goodbye()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._conversations:
                    self._changed.clear()
                    await self._changed.wait()
        for conversation in tuple(self._conversations):
            conversation.abort()
        if self._work:
            await asyncio.wait(self._work, timeout=FINISHING)


class RejectConnection(asyncio.Protocol):
    """A peer for whom there is no room."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say so."""
        told = cast("asyncio.WriteTransport", transport)  # uvloop's is of no such class
        told.write(b"421 4.3.2 too many connections, come back later\r\n")
        told.close()
