"""What all connections of a server share, and how it stops."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from restante.auth.interfaces import CachesLogins
from restante.protocol.server.settings import AuthOffer, ProtocolSettings
from restante.server.connection.session_log import LimitLog
from restante.server.limits.counters import AddressLimit, CountLimit, LoginDelay
from restante.server.limits.fair_queue import FairQueue
from restante.server.limits.throttle import Throttle
from restante.server.system import files_for_connections, spare_files
from restante.storage.interfaces import OpensCached
from restante.storage.utf8_downgrade.maildrop import DowngradeCache

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import structlog

    from restante.auth.interfaces import Authenticator
    from restante.auth.oauth import Tokens
    from restante.server.connection.connection import Connection
    from restante.storage.interfaces import LockedMaildrop, Store


Utf8HeaderPolicy: TypeAlias = Literal["as-stored", "surrogate", "refuse"]

MAX_PER_ADDRESS = 100  # connections; many people may share one address
MAX_PER_USER = 10  # sessions; all but one of them wait for the maildrop
REMOVING = 2  # seconds, beyond its time, for a removal to end before the server does
MOST_LINGERING = 64  # connections that are turned away, and waited for until they have read why

OPEN_FILES = "raise the limit of open files (LimitNOFILE, ulimit -n), or lower limits.connections"
FAILED = "many addresses guess passwords: let fail2ban or a firewall keep them out"
CONNECTIONS = "raise limits.connections, or look who has so many"


@dataclass(slots=True, kw_only=True)
class ServerContext:
    """The parts a server is made of; times are seconds."""

    store: Store
    authenticator: Authenticator
    log: structlog.typing.FilteringBoundLogger
    settings: ProtocolSettings = field(default_factory=ProtocolSettings)
    lock_timeout: float = 3  # for a maildrop that another session holds
    write_timeout: float = 600  # for a peer that takes no octet of a reply
    max_connections: int = 4000
    global_limit: CountLimit | None = (
        None  # all connections of all workers, where there are several
    )
    addresses: AddressLimit = field(default_factory=lambda: AddressLimit(MAX_PER_ADDRESS))
    users: CountLimit = field(default_factory=lambda: CountLimit(MAX_PER_USER))
    throttle: Throttle = field(default_factory=Throttle)
    login_delay: LoginDelay = field(default_factory=LoginDelay)
    tokens: Tokens | None = None
    utf8_headers: Utf8HeaderPolicy = "as-stored"  # in UTF-8, for clients that did not ask for that
    most_files: int = field(default_factory=files_for_connections)
    most_lingering: int = field(
        default_factory=lambda: min(MOST_LINGERING, spare_files() // 2)
    )  # of those that are turned away
    limits: LimitLog = field(init=False)
    header_downgrades: DowngradeCache = field(init=False, default_factory=DowngradeCache)
    offer: Callable[[], AuthOffer] = AuthOffer
    open_cached: Callable[[str], LockedMaildrop | None] | None = field(init=False)
    hashing: FairQueue | None = field(init=False)  # of passwords, where not all are at once
    login_cache: CachesLogins | None = field(
        init=False
    )  # the authenticator, where it remembers logins
    connections: set[Connection] = field(init=False, default_factory=set)
    rejected: set[Connection] = field(init=False, default_factory=set)  # some of them
    stopping: bool = field(init=False, default=False)
    _empty: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _background: set[asyncio.Task[None]] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self.limits = LimitLog(self.log)
        self.throttle.on_full = lambda: self.limits.note("failed logins remembered", FAILED)
        self.open_cached = self.store.open_cached if isinstance(self.store, OpensCached) else None
        at_once: int | None = getattr(self.authenticator, "at_once", None)
        self.hashing = FairQueue(at_once) if at_once else None
        self.login_cache = (
            self.authenticator if isinstance(self.authenticator, CachesLogins) else None
        )

    @property
    def is_crowded(self) -> bool:
        """Whether so many are turned away that none of them is waited for."""
        return len(self.rejected) > self.most_lingering

    def admit(self, connection: Connection, file: int) -> bool:
        """Count a connection in; return False where it is one too many, and may only be told so.

        `file` is its descriptor, the lowest that was free: so it tells how many are left.
        """
        self.connections.add(connection)
        if self.stopping:
            self.rejected.add(connection)
            return False
        if self.global_limit is None:
            has_room = len(self.connections) - len(self.rejected) <= self.max_connections
        else:
            has_room = file < self.most_files and self.global_limit.acquire("")
        if file >= self.most_files:
            self.limits.note("open files", OPEN_FILES)
        elif has_room:
            return True
        else:
            self.limits.note("limits.connections", CONNECTIONS)
        self.rejected.add(connection)
        return False

    def turn_away(self, connection: Connection) -> None:
        """Give back the place of a connection that is not to be served after all."""
        if self.global_limit is not None and connection not in self.rejected:
            self.global_limit.release("")
        self.rejected.add(connection)

    def leave(self, connection: Connection) -> None:
        """Count a connection out."""
        if self.global_limit is not None and connection not in self.rejected:
            self.global_limit.release("")
        self.connections.discard(connection)
        self.rejected.discard(connection)
        if not self.connections:
            self._empty.set()

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for, but that `stop` lets finish."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def stop(self, patience: float) -> None:
        """End all sessions: idle ones now, others after their reply, all after `patience` seconds.

        No mail is removed but by a QUIT that was already being carried out.
        """
        self.stopping = True
        for connection in tuple(self.connections):
            connection.stop()
        await self.emptied(patience)
        for connection in tuple(self.connections):
            connection.abort()
        await self.emptied(REMOVING)  # at once, but for a removal under way
        if self._background:
            await asyncio.wait(self._background, timeout=REMOVING)

    async def emptied(self, patience: float) -> None:
        """Wait until no connection is left, but no longer than so many seconds."""
        if self.connections:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), patience)
