"""Fulfils what a session needs of accounts and mail."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from restante.protocol.errors import ResponseCode
from restante.protocol.server.needs import (
    Authenticate,
    CommitDeletions,
    CorrectSize,
    LockMaildrop,
    NameClient,
    Need,
    NewTimestamp,
    OpenMessage,
    SendMultiline,
    SendPart,
    StartScram,
)
from restante.server.connection.authentication import ConnectionAuthenticator
from restante.server.connection.proxy_protocol import plain_address
from restante.server.control.holders import Holder
from restante.server.error_replies import (
    LoginDelayError,
    TooManySessionsError,
    reply_for,
    reply_naming,
)
from restante.server.log.removal_log import LoggedRemoval
from restante.storage.errors import (
    BusyError,
    PartialRemovalError,
    TooSoonError,
    UnsyncedRemovalError,
)
from restante.storage.interfaces import CanBeLost, DelaysLogins
from restante.storage.removals import DatesRemovals
from restante.storage.utf8_downgrade.maildrop import DowngradedMaildrop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from restante.protocol.errors import Refusal
    from restante.protocol.server.maildrop import MessageList
    from restante.protocol.server.needs import AuthMethod
    from restante.protocol.server.settings import Identity
    from restante.server.connection.transport import ClientTransport
    from restante.server.connection.write_buffer import WriteBuffer
    from restante.server.context import ServerContext
    from restante.server.limits.server_limits import ConnectionSlot
    from restante.storage.interfaces import LockedMaildrop

T = TypeVar("T")

BackendFactory: TypeAlias = "Callable[..., SessionBackend]"


def new_timestamp() -> str:
    """Return a message-id that was never given before. RFC 1939 section 7, APOP."""
    return f"<{secrets.token_hex(8)}.{time.time_ns()}@{socket.gethostname()}>"


class SessionBackend:
    """Fulfils the needs of one session. It holds the lock of the maildrop for the session."""

    __slots__ = (
        "_authenticator",
        "_claimed",
        "_client",
        "_context",
        "_corrections",
        "_maildrop",
        "_method",
        "_output",
        "_slot",
        "logged_in",
        "removed",
        "user",
    )

    def __init__(
        self,
        context: ServerContext,
        client: ClientTransport,
        output: WriteBuffer,
        slot: ConnectionSlot,
    ) -> None:
        self._context = context
        self._slot = slot
        self._output = output
        self._client = client
        self._authenticator = ConnectionAuthenticator(context, client)
        self._maildrop: LockedMaildrop | None = None
        self.user = ""  # the counted user: from the lock on, until the end
        self._claimed = ""  # for the log: the user who logged in, or tried to
        self._method: AuthMethod | None = None  # of the last login
        self._corrections: dict[int, int] = {}  # sizes in octets, by index
        self.logged_in = False  # a maildrop was opened
        self.removed = 0  # messages

    def fulfil(self, need: Need[Any]) -> object:
        """Return the result of a need, a Refusal, or a coroutine that returns or raises them."""
        result: Any
        try:
            if isinstance(need, OpenMessage):
                # A message opens before its +OK. After that, the server could not report that the
                # message is gone, and could only close the connection.
                assert self._maildrop is not None
                result = self._maildrop.read(need.index, need.lines)
            elif isinstance(need, Authenticate):
                self._method = need.method
                result = self._authenticator.authenticate(need)
                if self._context.observer is not None:
                    result = self._context.observer.time_login(result)
            elif isinstance(need, LockMaildrop):
                result = self._lock(need)
                if self._context.observer is not None:
                    waits = self._context.limits.users.count(self.user) > 1
                    result = self._context.observer.time_open(result, waits=waits)
            elif isinstance(need, CommitDeletions):
                result = self._commit(need.indexes)
            elif isinstance(need, SendMultiline):
                return self._send(need)
            else:
                result = self._fulfil_seldom(need)
        except (KeyboardInterrupt, SystemExit):  # they end the program
            raise
        except BaseException as error:  # noqa: BLE001  # nothing unforeseen may reach the client
            return self.refuse(need, error)
        return self._fulfil_or_refuse(need, result) if hasattr(result, "__await__") else result

    @property
    def lost(self) -> bool:
        """Whether the session no longer holds its maildrop."""
        maildrop: object = self._maildrop
        return isinstance(maildrop, CanBeLost) and maildrop.lost

    def error_reply(self, error: BaseException) -> Refusal:
        """Return the reply to an error, and log the cause, which is not for the client."""
        return self._context.session_log.refusal_for(self._client, self._claimed, error)

    def refuse(self, need: Need[Any], error: BaseException) -> Refusal:
        """Return the reply to an error, and log that an authenticated user gets no maildrop."""
        if isinstance(need, Authenticate | StartScram):
            self._claimed = self._authenticator.user
        refusal = self.error_reply(error)
        if isinstance(need, LockMaildrop):
            foreseen = reply_for(error) is not None
            reason = str(error if foreseen else refusal)
            if refusal.code is ResponseCode.IN_USE:
                self._explain_in_use(need.identity, refusal, reason)
            else:
                log = self._context.session_log
                log.login_refused(self._client, need.identity.name, refusal, reason)
        return refusal

    def release(self) -> None:
        """Release the maildrop at the end of the session."""
        self._authenticator.leave()
        if self.user:
            self._context.limits.users.release(self.user)
        maildrop, self._maildrop = self._maildrop, None
        if maildrop is None:
            return
        if self._corrections:
            self._context.connections.spawn(self._correct_and_release(maildrop))
        else:
            self._release(maildrop)

    async def close_body(self, result: object) -> None:
        """Close the result of a need, if it is an open message."""
        if hasattr(result, "aclose"):
            try:
                await result.aclose()
            except Exception as error:  # noqa: BLE001  # the session can do without
                self.error_reply(error)

    def _fulfil_seldom(self, need: Need[Any]) -> object:
        if isinstance(need, StartScram):
            return self._authenticator.start_scram(need)
        if isinstance(need, CorrectSize):
            self._corrections[need.index] = need.octets
            return None
        if isinstance(need, SendPart):
            return self._send_part(need.octets)
        if isinstance(need, NewTimestamp):
            return new_timestamp()
        if isinstance(need, NameClient):
            self._client.name_client(plain_address(need.address))
            return self._slot.acquire_address(self._client.address)
        raise NotImplementedError(f"SessionBackend does not fulfil {need}")

    async def _send_part(self, octets: bytes) -> None:
        self._output.add(octets)
        await self._output.drain()
        await asyncio.sleep(0)

    async def _fulfil_or_refuse(self, need: Need[Any], work: Awaitable[T]) -> T:
        try:
            return await work
        except Exception as error:  # nothing unforeseen may reach the peer
            refusal = self.refuse(need, error)
            if isinstance(need, LockMaildrop) and isinstance(error, BusyError):
                refusal = await self._name_holder(need.identity, refusal)
            raise refusal from error

    async def _name_holder(self, identity: Identity, refusal: Refusal) -> Refusal:
        """Return the reply that names the session which holds the maildrop, if one is found.

        Only a user whose credentials were accepted gets it, and only if this is configured.
        """
        if not self._context.name_holder:
            return refusal
        holder = await self._context.holders.find(identity.owner)
        if holder is None or holder.session is None:
            return refusal
        return reply_naming(holder.session.address, holder.since)

    async def _send(self, need: SendMultiline) -> None:
        """Send a long reply piece by piece, as fast as the peer reads.

        Raises Refusal: nothing was sent yet. Raises Exception: a part of it was sent.
        """
        status, output = need.status, self._output
        try:
            async for chunk in need.body:
                output.add(status + need.wire.feed(chunk))
                status = b""
                await output.drain()
                if output.closing or need.wire.complete:
                    break
        except Exception as error:
            if status:
                raise self.error_reply(error) from error
            raise
        finally:
            await self.close_body(need.body)
        output.add(status + need.wire.finish())

    def _explain_in_use(self, identity: Identity, refusal: Refusal, reason: str) -> None:
        """Log a login during another session, with that session, at any worker or node."""
        context, client = self._context, self._client

        def write(holder: Holder | None) -> None:
            context.session_log.login_refused(client, identity.name, refusal, reason, holder)

        async def find() -> None:
            write(await context.holders.find(identity.owner))

        here = context.holders.find_here(identity.owner)
        if here is not None or not context.holders.asks:
            write(None if here is None else Holder(here.since, here))
        else:
            context.connections.spawn(find())

    def _lock(self, need: LockMaildrop) -> MessageList | Awaitable[MessageList]:
        """Open the maildrop: at once if the store has it cached and headers are sent as stored."""
        context, user = self._context, need.identity.name
        owner = need.identity.maildrop or user
        self._claimed = user
        if need.login_delay is not None:
            context.limits.login_delay.check(owner, need.login_delay)
        if user != self.user:  # a session that waits for its lock counts, too
            if self.user:
                context.limits.users.release(self.user)
                self.user = ""
            if not context.limits.users.acquire(user):
                raise TooManySessionsError("the user has limits.sessions_per_user sessions already")
            self.user = user
        as_stored = need.utf8 or context.utf8_headers == "as-stored"
        if as_stored and context.open_cached is not None:
            maildrop = context.open_cached(owner)
            if maildrop is not None:
                return self._hold(maildrop, need)
        return self._open(need, owner, as_stored=as_stored)

    async def _open(self, need: LockMaildrop, owner: str, *, as_stored: bool) -> MessageList:
        context = self._context
        maildrop = await self._acquire(owner, need.login_delay)
        try:
            if need.login_delay is not None:  # others may have logged in during the wait
                context.limits.login_delay.check(owner, need.login_delay)
            if not as_stored:
                downgrades = await context.header_downgrades.find(maildrop, owner)
                refuse = context.utf8_headers == "refuse"
                maildrop = DowngradedMaildrop(maildrop, downgrades, refuse=refuse)
            return self._hold(maildrop, need)
        except BaseException:
            self._release(maildrop)
            raise

    async def _acquire(self, owner: str, delay: int | None) -> LockedMaildrop:
        """Lock the maildrop; with `login.take_over`, end an idle session that has it."""
        context = self._context
        patience = context.lock_timeout
        if context.take_over:
            with contextlib.suppress(BusyError):
                return await self._wait_for_lock(owner, 0, delay)
            patience = max(patience, await context.holders.stop_idle(owner))
        return await self._wait_for_lock(owner, patience, delay)

    async def _wait_for_lock(
        self, owner: str, patience: float, delay: int | None
    ) -> LockedMaildrop:
        store = self._context.store
        if delay is None or not isinstance(store, DelaysLogins):
            return await store.acquire(owner, patience)
        try:
            return await store.acquire_delayed(owner, patience, delay)
        except TooSoonError as error:
            raise LoginDelayError(delay) from error

    def _hold(self, maildrop: LockedMaildrop, need: LockMaildrop) -> MessageList:
        contents = maildrop.contents
        self._maildrop = maildrop
        self.logged_in = True
        self._context.session_log.logged_in(self._client, need.identity, self._method or "")
        if need.login_delay is not None:
            self._context.limits.login_delay.note(need.identity.owner, need.login_delay)
        return contents

    def _commit(self, indexes: tuple[int, ...]) -> Awaitable[None] | None:
        """Remove messages and release the maildrop: at once if there is nothing to write."""
        maildrop, self._maildrop = self._maildrop, None
        assert maildrop is not None
        if indexes or self._corrections:
            return self._remove_and_release(maildrop, indexes)
        self._release(maildrop)
        return None

    async def _remove_and_release(self, maildrop: LockedMaildrop, indexes: tuple[int, ...]) -> None:
        try:
            await maildrop.remove(indexes)
            await self._note_removed(maildrop, indexes)
        except PartialRemovalError as error:
            remaining = frozenset(error.remaining)
            gone = [index for index in indexes if index not in remaining]
            durable = not isinstance(error, UnsyncedRemovalError)
            await self._note_removed(maildrop, gone, durable=durable)
            raise
        finally:
            await self._correct_and_release(maildrop)

    async def _note_removed(
        self, maildrop: LockedMaildrop, indexes: Sequence[int], *, durable: bool = True
    ) -> None:
        """Count messages that were removed, and log each."""
        self.removed = len(indexes)
        contents = maildrop.contents
        arrived = maildrop.arrived if isinstance(maildrop, DatesRemovals) else {}
        await self._context.removal_log.note(
            [
                LoggedRemoval(
                    contents.uids[index], contents.sizes[index], arrived.get(index), durable
                )
                for index in indexes
            ],
            user=self._claimed,
            by="pop3",
            address=self._client.address,
            session=self._client.session_id,
        )

    async def _correct_and_release(self, maildrop: LockedMaildrop) -> None:
        """Release the maildrop. An error here does not change the result of a completed removal."""
        try:
            if self._corrections:
                await maildrop.correct_sizes(self._corrections)
        except Exception as error:  # noqa: BLE001  # see above
            self.error_reply(error)
        finally:
            self._release(maildrop)

    def _release(self, maildrop: LockedMaildrop) -> None:
        try:
            maildrop.release()
        except Exception as error:  # noqa: BLE001  # the session must come to its end
            self.error_reply(error)
