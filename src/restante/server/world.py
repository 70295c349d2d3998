"""Meets what a session needs of accounts and mail."""

from __future__ import annotations

import inspect
import secrets
from typing import TYPE_CHECKING, Any, TypeVar

from restante.protocol.errors import Refused, ResponseCode
from restante.protocol.needs import Acquire, Need, Open, Update, Verify
from restante.server.refusals import refusal
from restante.storage.api import RemainError, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    import structlog

    from restante.protocol.needs import Body
    from restante.protocol.state import Contents, Identity, Session
    from restante.server.service import Service
    from restante.storage.api import Maildrop

T = TypeVar("T")


class World:
    """One connection's way to accounts and mail: it holds the maildrop while the session has it."""

    def __init__(
        self, service: Service, session: Session, log: structlog.typing.FilteringBoundLogger
    ) -> None:
        self._service = service
        self._session = session
        self._log = log
        self._maildrop: Maildrop | None = None
        self.removed = 0  # messages

    def meet(self, need: Need[Any]) -> object | Awaitable[object]:
        """Return what the session needs, or a promise of it. Raises Refused, here or in time."""
        match need:
            case Open():
                return self._open(need)
            case Verify():
                return self._explained(self._service.authenticator.verify(need.user, need.password))
            case Acquire():
                return self._explained(self._acquire(need.identity))
            case Update():
                return self._explained(self._update(need.indexes))
        raise TypeError(need)

    def refused(self, error: Exception) -> Refused:
        """Return what to tell the peer; what only the administrator should know goes to the log."""
        told = refusal(error)
        if told is None:
            incident = secrets.token_hex(4)
            self._log.error("incident", incident=incident, exc_info=error)
            text = "Internal error (incident {incident})."
            return Refused(text, ResponseCode.SYS_TEMP, incident=incident)
        if told.code in (ResponseCode.SYS_TEMP, ResponseCode.SYS_PERM) and told is not error:
            self._log.warning("trouble", error=str(error), code=told.code.value)
        return told

    def leave(self) -> None:
        """Give the maildrop back, whatever became of the session."""
        maildrop, self._maildrop = self._maildrop, None
        if maildrop is None:
            return
        if self._session.view.corrections:
            self._service.in_background(self._correct_and_release(maildrop))
        else:
            maildrop.release()

    async def _explained(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except Exception as error:  # nothing unforeseen may reach the peer
            raise self.refused(error) from error

    async def _acquire(self, identity: Identity) -> Contents:
        service = self._service
        service.login_delay.check(identity.name)
        self._maildrop = await service.store.acquire(identity.name, service.lock_patience)
        service.login_delay.note(identity.name)
        return self._maildrop.contents

    def _open(self, need: Open) -> Body | Awaitable[Body]:
        assert self._maildrop is not None
        try:
            body = self._maildrop.read(need.index, need.lines)
        except StoreError as error:
            raise self.refused(error) from error
        return self._explained(body) if inspect.isawaitable(body) else body

    async def _update(self, indexes: tuple[int, ...]) -> None:
        maildrop, self._maildrop = self._maildrop, None
        assert maildrop is not None
        try:
            if indexes:
                await maildrop.remove(indexes)
            self.removed = len(indexes)
        except RemainError as error:
            self.removed = len(indexes) - len(error.remaining)
            raise
        finally:
            await self._correct_and_release(maildrop)

    async def _correct_and_release(self, maildrop: Maildrop) -> None:
        try:
            if self._session.view.corrections:
                await maildrop.correct(self._session.view.corrections)
        finally:
            maildrop.release()
