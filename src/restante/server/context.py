"""The context that all connections of a server share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from restante.auth.fair_queue import FairQueue
from restante.auth.interfaces import BoundsLogins, CachesLogins
from restante.protocol.server.settings import AuthOffer, ProtocolSettings
from restante.server.connection.session_log import SessionLog
from restante.server.control.holders import MaildropHolders
from restante.server.limits.limit_log import LimitLog
from restante.server.limits.server_limits import ServerLimits
from restante.server.log.removal_log import RemovalLog
from restante.server.registry import ConnectionRegistry
from restante.storage.interfaces import LosesMaildrops, OpensCached
from restante.storage.utf8_downgrade.maildrop import DowngradeCache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import structlog

    from restante.auth.interfaces import Authenticator
    from restante.auth.masters import Masters
    from restante.auth.oauth.tokens import Tokens
    from restante.server.connection.administered import AdministeredConnection
    from restante.server.observer import ServerObserver
    from restante.server.policies import Utf8HeaderPolicy
    from restante.server.system.accepting import AcceptsConnections
    from restante.storage.interfaces import LockedMaildrop, Store

OpenCached: TypeAlias = "Callable[[str], LockedMaildrop | None]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
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
    junk_suffix: str = ""  # of login names that open the junk maildrop; "" for none
    take_over: bool = False  # a login ends an idle session of its user that holds the maildrop
    name_holder: bool = False  # in the reply [IN-USE]
    control: Path | None = None  # the folder of the control sockets of all workers
    default_domain: str = ""  # of login names and recipients without one
    keep_deleted: int | None = None  # days for which the store keeps removed messages
    masters: Masters | None = None
    tokens: Tokens | None = None
    utf8_headers: Utf8HeaderPolicy = "as-stored"  # in UTF-8, for clients that did not ask for that
    offer: Callable[[], AuthOffer] = AuthOffer
    limits: ServerLimits = field(default_factory=ServerLimits)
    connections: ConnectionRegistry[AdministeredConnection] = field(
        default_factory=ConnectionRegistry
    )
    listening: list[tuple[str, AcceptsConnections]] = field(default_factory=list)  # by service
    header_downgrades: DowngradeCache = field(default_factory=DowngradeCache)
    observer: ServerObserver | None = None  # where the server measures itself

    limit_log: LimitLog = field(init=False)  # of limits that are reached
    holders: MaildropHolders = field(init=False)  # of maildrops
    session_log: SessionLog = field(init=False)  # of clients
    removal_log: RemovalLog = field(init=False)  # of messages
    open_cached: OpenCached | None = field(init=False)  # of the store, where it has such a way
    login_cache: CachesLogins | None = field(init=False)  # the authenticator, if it is one
    hash_queue: FairQueue | None = field(init=False)  # None: any number may be hashed at once

    def __post_init__(self) -> None:
        store, accounts = self.store, self.authenticator
        at_once = accounts.at_once if isinstance(accounts, BoundsLogins) else None
        derived = {
            "limit_log": LimitLog(self.log, observer=self.observer),
            "holders": MaildropHolders(self.connections, self.control, store),
            "session_log": SessionLog(self.log, self.default_domain),
            "removal_log": RemovalLog(self.log),
            "open_cached": store.open_cached if isinstance(store, OpensCached) else None,
            "login_cache": accounts if isinstance(accounts, CachesLogins) else None,
            "hash_queue": FairQueue(at_once) if at_once else None,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)  # from here on, it is frozen
        self.limits.report_to(self.limit_log.note)
        if isinstance(store, LosesMaildrops):
            store.call_on_loss(self._stop_lost)

    def _stop_lost(self) -> None:
        """End the sessions that no longer hold their maildrops."""
        for connection in self.connections:
            connection.stop_if_lost()
