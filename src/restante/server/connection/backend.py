"""Meets what a session needs of accounts and mail."""

from __future__ import annotations

import secrets
import socket
import time
from typing import TYPE_CHECKING, Any, TypeVar

from restante.protocol.errors import Refusal, ResponseCode
from restante.protocol.server.needs import (
    Authenticate,
    CommitDeletions,
    LockMaildrop,
    Need,
    NewTimestamp,
    OpenMessage,
    StartScram,
)
from restante.server.error_replies import TooManySessionsError, reply_for
from restante.storage.interfaces import PartialRemovalError
from restante.storage.utf8_downgrade.maildrop import DowngradedMaildrop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from restante.protocol.server.maildrop import MessageList
    from restante.protocol.server.session import Session
    from restante.protocol.server.settings import Identity
    from restante.server.connection.authentication import ConnectionAuthenticator
    from restante.server.connection.session_log import SessionLog
    from restante.server.context import ServerContext
    from restante.storage.interfaces import LockedMaildrop

T = TypeVar("T")


class SessionBackend:
    """One connection's way to accounts and mail: it holds the maildrop while the session has it."""

    def __init__(
        self,
        service: ServerContext,
        session: Session,
        proofs: ConnectionAuthenticator,
        record: SessionLog,
    ) -> None:
        self._service = service
        self._session = session
        self._proofs = proofs
        self._record = record
        self._maildrop: LockedMaildrop | None = None
        self._user = ""  # the counted user
        self.removed = 0  # messages

    def fulfil(self, need: Need[Any]) -> object | Coroutine[Any, Any, object]:
        """Return what the session needs, or a coroutine that does; either may raise Refusal."""
        met: Any
        try:
            if isinstance(need, OpenMessage):
                assert self._maildrop is not None
                met = self._maildrop.read(need.index, need.lines)
            elif isinstance(need, LockMaildrop):
                met = self._acquire(need.identity, utf8=need.utf8)
            elif isinstance(need, CommitDeletions):
                met = self._update(need.indexes)
            elif isinstance(need, Authenticate):
                met = self._proofs.authenticate(need)
            elif isinstance(need, StartScram):
                met = self._proofs.start_scram(need)
            else:
                assert isinstance(need, NewTimestamp), need
                met = f"<{secrets.token_hex(8)}.{time.time_ns()}@{socket.gethostname()}>"
        except Exception as error:  # nothing unforeseen may reach the peer
            raise self._refusal(need, error) from error
        return self._fulfil_or_refuse(need, met) if hasattr(met, "__await__") else met

    def error_reply(self, error: BaseException) -> Refusal:
        """Return what to tell the peer; what only the administrator should know goes to the log."""
        told = reply_for(error)
        if told is None:
            incident = secrets.token_hex(4)
            self._record.internal_error(error, incident)
            text = "Internal error (incident {incident})."
            return Refusal(text, ResponseCode.SYS_TEMP, incident=incident)
        if told.code in (ResponseCode.SYS_TEMP, ResponseCode.SYS_PERM) and told is not error:
            self._record.store_error(error, told)
        return told

    def release(self) -> None:
        """Give the maildrop back, whatever became of the session."""
        self._proofs.leave()
        if self._user:
            self._service.limits.users.release(self._user)
        maildrop, self._maildrop = self._maildrop, None
        if maildrop is None:
            return
        if self._session.view.corrections:
            self._service.connections.spawn(self._correct_and_release(maildrop))
        else:
            self._release(maildrop)

    async def close_body(self, met: object) -> None:
        """Close what a need was met with, where it is an open message."""
        if hasattr(met, "aclose"):
            try:
                await met.aclose()
            except Exception as error:  # noqa: BLE001  # the session can do without
                self.error_reply(error)

    async def _fulfil_or_refuse(self, need: Need[Any], work: Awaitable[T]) -> T:
        try:
            return await work
        except Exception as error:  # nothing unforeseen may reach the peer
            raise self._refusal(need, error) from error

    def _refusal(self, need: Need[Any], error: Exception) -> Refusal:
        """Return what to tell the peer; that a proven user gets no mail goes to the log."""
        if isinstance(need, Authenticate):
            self._record.user = need.user
        told = self.error_reply(error)
        if isinstance(need, LockMaildrop):
            foreseen = reply_for(error) is not None
            self._record.login_refused(need.identity.name, told, str(error if foreseen else told))
        return told

    def _acquire(self, identity: Identity, *, utf8: bool) -> MessageList | Awaitable[MessageList]:
        """Open the maildrop: at once where the store has it at hand and headers go as stored."""
        service = self._service
        self._record.user = identity.name
        delay = identity.login_delay
        if delay is None:
            delay = self._session.offer.login_delay
        if delay is not None:
            service.limits.login_delay.check(identity.name, delay)
        self._count_in(identity.name)
        as_stored = utf8 or service.utf8_headers == "as-stored"
        if as_stored and service.open_cached is not None:
            maildrop = service.open_cached(identity.name)
            if maildrop is not None:
                return self._hold(maildrop, identity.name, delay)
        return self._open(identity.name, delay, as_stored=as_stored)

    async def _open(self, user: str, delay: int | None, *, as_stored: bool) -> MessageList:
        service = self._service
        maildrop: LockedMaildrop = await service.store.acquire(user, service.lock_timeout)
        try:
            if not as_stored:
                found = await service.header_downgrades.of(maildrop, user)
                maildrop = DowngradedMaildrop(
                    maildrop, found, refuse=service.utf8_headers == "refuse"
                )
            return self._hold(maildrop, user, delay)
        except BaseException:
            self._release(maildrop)
            raise

    def _hold(self, maildrop: LockedMaildrop, user: str, delay: int | None) -> MessageList:
        contents = maildrop.contents
        self._maildrop = maildrop
        if delay is not None:
            self._service.limits.login_delay.note(user, delay)
        return contents

    def _count_in(self, user: str) -> None:
        """Raise TooManySessionsError: the user has too many sessions.

        One that waits for its lock counts.
        """
        if user == self._user:
            return
        if self._user:
            self._service.limits.users.release(self._user)
            self._user = ""
        if not self._service.limits.users.acquire(user):
            raise TooManySessionsError("the user has limits.sessions_per_user sessions already")
        self._user = user

    def _update(self, indexes: tuple[int, ...]) -> Awaitable[None] | None:
        """Remove messages and give the maildrop back: at once where nothing is to be written."""
        maildrop, self._maildrop = self._maildrop, None
        assert maildrop is not None
        if indexes or self._session.view.corrections:
            return self._remove_and_release(maildrop, indexes)
        self._release(maildrop)
        return None

    async def _remove_and_release(self, maildrop: LockedMaildrop, indexes: tuple[int, ...]) -> None:
        try:
            if indexes:
                await maildrop.remove(indexes)
            self.removed = len(indexes)
        except PartialRemovalError as error:
            self.removed = len(indexes) - len(error.remaining)
            raise
        finally:
            await self._correct_and_release(maildrop)

    async def _correct_and_release(self, maildrop: LockedMaildrop) -> None:
        """Release the maildrop. An error here does not change the result of a completed removal."""
        try:
            if self._session.view.corrections:
                await maildrop.correct_sizes(self._session.view.corrections)
        except Exception as error:  # noqa: BLE001  # see above
            self.error_reply(error)
        finally:
            self._release(maildrop)

    def _release(self, maildrop: LockedMaildrop) -> None:
        try:
            maildrop.release()
        except Exception as error:  # noqa: BLE001  # the session must come to its end
            self.error_reply(error)
