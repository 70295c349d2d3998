"""A need of a session that takes a task, since accounts, mail store or client take time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from restante.protocol.server.needs import Authenticate, LockMaildrop, StartScram

if TYPE_CHECKING:
    import asyncio

    from restante.protocol.server.needs import Need

AUTHENTICATION_NEEDS = (Authenticate, StartScram)
"""Needs that count for the client's time before login."""

MAY_BE_CANCELLED = (*AUTHENTICATION_NEEDS, LockMaildrop)
"""Needs that may be cancelled. Work for any other need uses the descriptors of a maildrop."""


class PendingWork:
    """The task that fulfils a need."""

    __slots__ = ("_sent", "_task", "need")

    def __init__(self, need: Need[Any], task: asyncio.Task[None], sent: int) -> None:
        """`sent`: the octets that the connection has sent so far."""
        self.need = need
        self._task = task
        self._sent = sent

    @property
    def authenticates(self) -> bool:
        """Whether the client is not authenticated yet."""
        return isinstance(self.need, AUTHENTICATION_NEEDS)

    def made_progress(self, sent: int) -> bool:
        """Return whether the connection has sent octets since the last call."""
        before, self._sent = self._sent, sent
        return sent > before

    def cancel(self) -> None:
        """Cancel the task if that is safe: others may wait in the same queue.

        It begins first. A task that is cancelled before that does nothing, so that the connection
        would never end.
        """
        if isinstance(self.need, MAY_BE_CANCELLED):
            self._task.get_loop().call_soon(self._task.cancel)
