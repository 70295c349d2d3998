"""A connection as administrators see it: its session, and the ways to end it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import msgspec

from restante.junk import is_junk
from restante.protocol.server.session import AUTHORIZATION, EndReason
from restante.server.connection import phases

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Mapping

    from restante.protocol.lines import LineBuffer
    from restante.protocol.server.session import Session
    from restante.server.connection.backend import SessionBackend
    from restante.server.connection.phases import ConnectionPhase
    from restante.server.connection.transport import ClientTransport
    from restante.server.connection.write_buffer import WriteBuffer


class SessionFacts(msgspec.Struct, kw_only=True):
    """The facts of a live session, for an administrator. None of them is a secret.

    Attributes:
        session: its id in the log.
        user: the user, "" before the login.
        junk: whether the user has opened the junk maildrop.
        since: when it was connected, in seconds since 1970.
        idle: seconds since its last command; 0 before the login, and while a command is under way.
        state: "authorization", "transaction" or "update".
        messages: in the maildrop at its login; None before the login.
        maildrop: octets of these messages.
        octets_in: octets that came. octets_out: octets that were sent.
        tls: the version and cipher, "" without TLS.
    """

    session: str
    user: str
    address: str
    since: float
    idle: float
    state: str
    messages: int | None
    maildrop: int | None
    octets_in: int
    octets_out: int
    tls: str
    junk: bool = False  # servers of an earlier version send none


class AdministeredConnection(ABC):
    """A connection as `pop3 sessions` shows it, and as `pop3 kick` and a shutdown end it."""

    phase: ConnectionPhase
    deadline: float
    _session: Session
    _backend: SessionBackend
    _wire: ClientTransport
    _output: WriteBuffer
    _loop: asyncio.AbstractEventLoop
    _transport: asyncio.Transport
    _begun: float
    _octets_in: int
    _lines: LineBuffer
    _stopping: EndReason | None  # why it ends as soon as it waits for a line

    def stop(self, why: EndReason = EndReason.SHUTDOWN) -> None:
        """End the session after the reply under way, or now if it waits for the client."""
        self._stopping = why
        if self.phase in phases.IDLE and not self._transport.is_closing():
            self._close(why)

    def stop_if_kicked(self, kicks: Mapping[str, float]) -> None:
        """Stop the session if its user is in `kicks`, with a time after the connection's begin.

        Times are those of the event loop.
        """
        if self._begun < kicks.get(self.user, 0):
            self.stop(EndReason.KICKED)

    def stop_if_idle(self, begun_by: float) -> bool:
        """Stop a session that has its maildrop and waits for a command, and return whether it did.

        A part of a command counts as a command. As with each end but QUIT, no message is removed.
        A connection that began after `begun_by`, in the time of the event loop, stays.
        """
        if self.phase is not phases.COMMAND or not self._backend.logged_in or self._lines:
            return False
        if self._begun > begun_by:
            return False
        self.stop(EndReason.TAKEN_OVER)
        return True

    def stop_if_changed(self, users: Collection[str]) -> None:
        """Stop the session if its user's account was removed, locked or changed."""
        if self.user in users:
            self.stop(EndReason.ACCOUNT)

    def stop_if_revoked(self, has: Callable[[str], bool]) -> None:
        """Stop a session whose app password was revoked: `has` returns False for its key."""
        identity = self._session.identity
        if identity is not None and identity.app_password and not has(identity.credential):
            self.stop(EndReason.ACCOUNT)

    def stop_if_opened_by(self, masters: Collection[str]) -> None:
        """Stop a session that one of these master users has opened."""
        identity = self._session.identity
        if identity is not None and identity.master in masters:
            self.stop(EndReason.ACCOUNT)

    def stop_if_lost(self) -> None:
        """Stop a session that no longer holds its maildrop."""
        if self._backend.lost:
            self.stop(EndReason.MAILDROP_LOST)

    @property
    def user(self) -> str:
        """The authenticated user, with or without the maildrop yet; "" before that."""
        identity = self._session.identity
        return identity.name if identity is not None else ""

    @property
    def held_maildrop(self) -> str:
        """The owner of the maildrop that the session holds, "" for none."""
        identity = self._session.identity
        return identity.owner if identity is not None and self._backend.logged_in else ""

    @property
    def is_ending(self) -> bool:
        """Whether the session is over, and only replies or a removal under way continue."""
        return self.phase in phases.ENDING

    @property
    def logged_in(self) -> bool:
        """Whether the session has opened a maildrop."""
        return self._backend.logged_in

    def describe(self) -> SessionFacts:
        """Return what an administrator may know of the session now."""
        session, now = self._session, self._loop.time()
        contents = session.view.contents if session.state is not AUTHORIZATION else None
        return SessionFacts(
            session=self._wire.session_id,
            user=self.user,
            address=self._wire.address,
            since=round(time.time() - (now - self._begun), 3),
            idle=round(self._idle_seconds(now), 1),
            state=session.state.name.lower(),
            messages=len(contents.sizes) if contents else None,
            maildrop=contents.octets if contents else None,
            octets_in=self._octets_in,
            octets_out=self._output.octets,
            tls=self._wire.tls_version,
            junk=is_junk(self.held_maildrop),
        )

    def _idle_seconds(self, now: float) -> float:
        """Return the seconds since its last command. Each command moves the deadline."""
        if self.phase is not phases.COMMAND or not self._backend.logged_in:
            return 0
        return max(0, now + self._session.command_timeout - self.deadline)

    @abstractmethod
    def abort(self) -> None:
        """End the session now. Only the work of a thread is done to its end."""

    @abstractmethod
    def on_timeout(self) -> None:
        """End a session whose client or mail store is too slow."""

    @abstractmethod
    def _close(self, reason: EndReason) -> None: ...
