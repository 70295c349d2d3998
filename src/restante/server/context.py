"""What all connections of a server share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from restante.auth.interfaces import CachesLogins
from restante.protocol.server.settings import AuthOffer, ProtocolSettings
from restante.server.connection.session_log import SessionLog
from restante.server.limits.fair_queue import FairQueue
from restante.server.limits.limit_log import LimitLog
from restante.server.limits.server_limits import ServerLimits
from restante.server.registry import ConnectionRegistry
from restante.storage.interfaces import LosesMaildrops, OpensCached
from restante.storage.utf8_downgrade.maildrop import DowngradeCache

if TYPE_CHECKING:
    from collections.abc import Callable

    import structlog

    from restante.auth.interfaces import Authenticator
    from restante.auth.oauth import Tokens
    from restante.server.policies import Utf8HeaderPolicy
    from restante.storage.interfaces import LockedMaildrop, Store


@dataclass(frozen=True, kw_only=True, eq=False)
class ServerContext:
    """The parts of a server. They do not change while it serves; times are seconds.

    Mutable state has its own classes: `limits` counts, `connections` has the live ones.
    """

    store: Store
    authenticator: Authenticator
    log: structlog.typing.FilteringBoundLogger
    settings: ProtocolSettings = field(default_factory=ProtocolSettings)
    lock_timeout: float = 3  # for a maildrop that another session holds
    write_timeout: float = 600  # for a peer that reads no octet of a reply
    tokens: Tokens | None = None
    utf8_headers: Utf8HeaderPolicy = "as-stored"  # in UTF-8, for clients that did not ask for that
    offer: Callable[[], AuthOffer] = AuthOffer
    limits: ServerLimits = field(default_factory=ServerLimits)
    connections: ConnectionRegistry = field(default_factory=ConnectionRegistry)
    header_downgrades: DowngradeCache = field(default_factory=DowngradeCache)

    def __post_init__(self) -> None:
        self.limits.report_to(self.limit_log.note)
        if isinstance(self.store, LosesMaildrops):
            self.store.call_on_loss(self.connections.stop_lost)

    @cached_property
    def limit_log(self) -> LimitLog:
        """The log of limits that are reached."""
        return LimitLog(self.log)

    @cached_property
    def session_log(self) -> SessionLog:
        """The log of clients."""
        return SessionLog(self.log)

    @cached_property
    def open_cached(self) -> Callable[[str], LockedMaildrop | None] | None:
        """The store's way to open a maildrop at once; None if the store has none."""
        return self.store.open_cached if isinstance(self.store, OpensCached) else None

    @cached_property
    def login_cache(self) -> CachesLogins | None:
        """The authenticator, if it caches logins."""
        return self.authenticator if isinstance(self.authenticator, CachesLogins) else None

    @cached_property
    def hash_queue(self) -> FairQueue | None:
        """The queue for hashing passwords; None if any number may be hashed at once."""
        at_once: int | None = getattr(self.authenticator, "at_once", None)
        return FairQueue(at_once) if at_once else None
