"""What all connections of a server share, and how it stops."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from restante.auth.api import Recalls
from restante.protocol.settings import Offer, Settings
from restante.server.fair import FairQueue
from restante.server.limits import Addresses, Crowd, LoginDelay
from restante.server.process import files_for_connections, spare_files
from restante.server.record import LimitLog
from restante.server.throttle import Throttle
from restante.storage.api import HasAtHand
from restante.storage.headers import StandIns

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import structlog

    from restante.auth.api import Authenticator
    from restante.auth.tokens import Tokens
    from restante.server.connection import Connection
    from restante.storage.api import Maildrop, Store


Headers: TypeAlias = Literal["as-stored", "surrogate", "refuse"]

MOST_PER_ADDRESS = 100  # connections; many people may share one address
MOST_PER_USER = 10  # sessions; all but one of them wait for the maildrop
REMOVING = 2  # seconds, beyond its time, for a removal to end before the server does
MOST_LINGERING = 64  # connections that are turned away, and waited for until they have read why

OPEN_FILES = "raise the limit of open files (LimitNOFILE, ulimit -n), or lower limits.connections"
FAILED = "many addresses guess passwords: let fail2ban or a firewall keep them out"
CONNECTIONS = "raise limits.connections, or look who has so many"


@dataclass(slots=True, kw_only=True)
class Service:
    """The parts a server is made of; times are seconds."""

    store: Store
    authenticator: Authenticator
    log: structlog.typing.FilteringBoundLogger
    settings: Settings = field(default_factory=Settings)
    lock_patience: float = 3  # for a maildrop that another session holds
    write_timeout: float = 600  # for a peer that takes no octet of a reply
    most_connections: int = 4000
    everyone: Crowd | None = None  # all connections of all workers, where there are several
    addresses: Addresses = field(default_factory=lambda: Addresses(MOST_PER_ADDRESS))
    users: Crowd = field(default_factory=lambda: Crowd(MOST_PER_USER))
    throttle: Throttle = field(default_factory=Throttle)
    login_delay: LoginDelay = field(default_factory=LoginDelay)
    tokens: Tokens | None = None
    headers: Headers = "as-stored"  # in UTF-8, for clients that did not ask for that
    most_files: int = field(default_factory=files_for_connections)
    most_lingering: int = field(
        default_factory=lambda: min(MOST_LINGERING, spare_files() // 2)
    )  # of those that are turned away
    limits: LimitLog = field(init=False)
    stand_ins: StandIns = field(init=False, default_factory=StandIns)
    offer: Callable[[], Offer] = Offer
    at_hand: Callable[[str], Maildrop | None] | None = field(init=False)
    hashing: FairQueue | None = field(init=False)  # of passwords, where not all are at once
    recalls: Recalls | None = field(init=False)  # the authenticator, where it remembers logins
    connections: set[Connection] = field(init=False, default_factory=set)
    turned_away: set[Connection] = field(init=False, default_factory=set)  # some of them
    stopping: bool = field(init=False, default=False)
    _empty: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _background: set[asyncio.Task[None]] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self.limits = LimitLog(self.log)
        self.throttle.on_full = lambda: self.limits.note("failed logins remembered", FAILED)
        self.at_hand = self.store.at_hand if isinstance(self.store, HasAtHand) else None
        at_once: int | None = getattr(self.authenticator, "at_once", None)
        self.hashing = FairQueue(at_once) if at_once else None
        self.recalls = self.authenticator if isinstance(self.authenticator, Recalls) else None

    @property
    def is_crowded(self) -> bool:
        """Whether so many are turned away that none of them is waited for."""
        return len(self.turned_away) > self.most_lingering

    def admit(self, connection: Connection, file: int) -> bool:
        """Count a connection in; return False where it is one too many, and may only be told so.

        `file` is its descriptor, the lowest that was free: so it tells how many are left.
        """
        self.connections.add(connection)
        if self.stopping:
            self.turned_away.add(connection)
            return False
        if self.everyone is None:
            has_room = len(self.connections) - len(self.turned_away) <= self.most_connections
        else:
            has_room = file < self.most_files and self.everyone.enter("")
        if file >= self.most_files:
            self.limits.note("open files", OPEN_FILES)
        elif has_room:
            return True
        else:
            self.limits.note("limits.connections", CONNECTIONS)
        self.turned_away.add(connection)
        return False

    def turn_away(self, connection: Connection) -> None:
        """Give back the place of a connection that is not to be served after all."""
        if self.everyone is not None and connection not in self.turned_away:
            self.everyone.leave("")
        self.turned_away.add(connection)

    def leave(self, connection: Connection) -> None:
        """Count a connection out."""
        if self.everyone is not None and connection not in self.turned_away:
            self.everyone.leave("")
        self.connections.discard(connection)
        self.turned_away.discard(connection)
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
