"""Meets what a session needs of accounts and mail."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, TypeVar

from restante.protocol.errors import Refused, ResponseCode
from restante.protocol.needs import (
    Acquire,
    Need,
    Open,
    Update,
    Verify,
    VerifyCertificate,
    VerifyDigest,
    VerifyToken,
)
from restante.server.refusals import CrowdError, refusal
from restante.storage.api import RemainError
from restante.storage.headers import AsciiMaildrop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from restante.protocol.maildrop import Contents
    from restante.protocol.settings import Identity
    from restante.protocol.state import Session
    from restante.server.proofs import Proofs
    from restante.server.record import Record
    from restante.server.service import Service
    from restante.storage.api import Maildrop

T = TypeVar("T")


class World:
    """One connection's way to accounts and mail: it holds the maildrop while the session has it."""

    def __init__(
        self,
        service: Service,
        session: Session,
        proofs: Proofs,
        record: Record,
    ) -> None:
        self._service = service
        self._session = session
        self._proofs = proofs
        self._record = record
        self._maildrop: Maildrop | None = None
        self._user = ""  # who is counted in
        self.removed = 0  # messages

    def meet(self, need: Need[Any]) -> object | Coroutine[Any, Any, object]:
        """Return what the session needs, or a coroutine that does; either may raise Refused."""
        met: Any
        try:
            if isinstance(need, Open):
                assert self._maildrop is not None
                met = self._maildrop.read(need.index, need.lines)
            elif isinstance(need, Acquire):
                met = self._acquire(need.identity, utf8=need.utf8)
            elif isinstance(need, Update):
                met = self._update(need.indexes)
            else:
                met = self._proofs.meet(need)
                assert met is not None, need
        except Exception as error:  # nothing unforeseen may reach the peer
            raise self._denied(need, error) from error
        return self._explained(need, met) if hasattr(met, "__await__") else met

    def refused(self, error: BaseException) -> Refused:
        """Return what to tell the peer; what only the administrator should know goes to the log."""
        told = refusal(error)
        if told is None:
            incident = secrets.token_hex(4)
            self._record.incident(error, incident)
            text = "Internal error (incident {incident})."
            return Refused(text, ResponseCode.SYS_TEMP, incident=incident)
        if told.code in (ResponseCode.SYS_TEMP, ResponseCode.SYS_PERM) and told is not error:
            self._record.trouble(error, told)
        return told

    def leave(self) -> None:
        """Give the maildrop back, whatever became of the session."""
        self._proofs.leave()
        if self._user:
            self._service.users.leave(self._user)
        maildrop, self._maildrop = self._maildrop, None
        if maildrop is None:
            return
        if self._session.view.corrections:
            self._service.in_background(self._correct_and_release(maildrop))
        else:
            self._release(maildrop)

    async def let_go(self, met: object) -> None:
        """Close what a need was met with, where it is an open message."""
        if hasattr(met, "aclose"):
            try:
                await met.aclose()
            except Exception as error:  # noqa: BLE001  # the session can do without
                self.refused(error)

    async def _explained(self, need: Need[Any], work: Awaitable[T]) -> T:
        try:
            return await work
        except Exception as error:  # nothing unforeseen may reach the peer
            raise self._denied(need, error) from error

    def _denied(self, need: Need[Any], error: Exception) -> Refused:
        """Return what to tell the peer; that a proven user gets no mail goes to the log."""
        if isinstance(need, Verify | VerifyDigest | VerifyToken | VerifyCertificate):
            self._record.user = need.user
        told = self.refused(error)
        if isinstance(need, Acquire):
            foreseen = refusal(error) is not None
            self._record.login_refused(need.identity.name, told, str(error if foreseen else told))
        return told

    def _acquire(self, identity: Identity, *, utf8: bool) -> Contents | Awaitable[Contents]:
        """Open the maildrop: at once where the store has it at hand and headers go as stored."""
        service = self._service
        self._record.user = identity.name
        delay = identity.login_delay
        if delay is None:
            delay = self._session.offer.login_delay
        if delay is not None:
            service.login_delay.check(identity.name, delay)
        self._count_in(identity.name)
        as_stored = utf8 or service.headers == "as-stored"
        if as_stored and service.at_hand is not None:
            maildrop = service.at_hand(identity.name)
            if maildrop is not None:
                return self._hold(maildrop, identity.name, delay)
        return self._open(identity.name, delay, as_stored=as_stored)

    async def _open(self, user: str, delay: int | None, *, as_stored: bool) -> Contents:
        service = self._service
        maildrop: Maildrop = await service.store.acquire(user, service.lock_patience)
        try:
            if not as_stored:
                found = await service.stand_ins.of(maildrop, user)
                maildrop = AsciiMaildrop(maildrop, found, refuse=service.headers == "refuse")
            return self._hold(maildrop, user, delay)
        except BaseException:
            self._release(maildrop)
            raise

    def _hold(self, maildrop: Maildrop, user: str, delay: int | None) -> Contents:
        contents = maildrop.contents
        self._maildrop = maildrop
        if delay is not None:
            self._service.login_delay.note(user, delay)
        return contents

    def _count_in(self, user: str) -> None:
        """Raise CrowdError: the user has too many sessions. One that waits for its lock counts."""
        if user == self._user:
            return
        if self._user:
            self._service.users.leave(self._user)
            self._user = ""
        if not self._service.users.enter(user):
            raise CrowdError("the user has limits.sessions_per_user sessions already")
        self._user = user

    def _update(self, indexes: tuple[int, ...]) -> Awaitable[None] | None:
        """Remove messages and give the maildrop back: at once where nothing is to be written."""
        maildrop, self._maildrop = self._maildrop, None
        assert maildrop is not None
        if indexes or self._session.view.corrections:
            return self._remove_and_release(maildrop, indexes)
        self._release(maildrop)
        return None

    async def _remove_and_release(self, maildrop: Maildrop, indexes: tuple[int, ...]) -> None:
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
        """Give the maildrop back; what fails here is no reason to deny a removal that is done."""
        try:
            if self._session.view.corrections:
                await maildrop.correct(self._session.view.corrections)
        except Exception as error:  # noqa: BLE001  # see above
            self.refused(error)
        finally:
            self._release(maildrop)

    def _release(self, maildrop: Maildrop) -> None:
        try:
            maildrop.release()
        except Exception as error:  # noqa: BLE001  # the session must come to its end
            self.refused(error)
