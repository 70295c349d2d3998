"""All limits of a server in one object, and the place of a connection in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.protocol.server.settings import require_count, require_switch
from restante.server.limits.counters import AddressLimit, CountLimit, LoginDelay
from restante.server.limits.throttle import Throttle
from restante.server.system.process import files_for_connections, spare_files
from restante.system_errors import OPEN_FILES

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CONNECTIONS = 4000
MAX_PER_ADDRESS = 100  # connections; many people may share one address
MAX_PER_USER = 10  # sessions; all but one of them wait for the maildrop
MAX_LINGERING = 64  # connections that are rejected, and waited for until they have read why

MORE_FILES = f"{OPEN_FILES}, or lower limits.connections"
FAILED = "many addresses guess passwords; block them with fail2ban or a firewall"
UNCOUNTED = "restart the server: its tables have the size of limits.connections at its start"
CONNECTIONS = "raise limits.connections, or find the clients that use most connections"
ADDRESS = (
    "raise limits.connections_per_address if many users share the address; if a proxy has it,"
    " list that in server.proxies or server.xclient_proxies"
)


def _nowhere(_limit: str, _advice: str) -> None:
    pass


@dataclass(slots=True, kw_only=True)
class ServerLimits:
    """The limits of all connections together. Workers share the tables of these limits.

    A connection holds a `ConnectionSlot` in them.
    """

    connections: CountLimit = field(default_factory=lambda: CountLimit(MAX_CONNECTIONS))
    addresses: AddressLimit = field(default_factory=lambda: AddressLimit(MAX_PER_ADDRESS))
    users: CountLimit = field(default_factory=lambda: CountLimit(MAX_PER_USER))
    throttle: Throttle = field(default_factory=Throttle)
    login_delay: LoginDelay = field(default_factory=LoginDelay)
    most_files: int = field(default_factory=files_for_connections)
    most_lingering: int = field(default_factory=lambda: min(MAX_LINGERING, spare_files() // 2))
    rejected: int = field(init=False, default=0)  # connections that are not closed yet
    _note: Callable[[str, str], object] = field(init=False, default=_nowhere)

    @classmethod
    def create(
        cls,
        *,
        connections: int = MAX_CONNECTIONS,
        connections_per_address: int = MAX_PER_ADDRESS,
        sessions_per_user: int = MAX_PER_USER,
        count_loopback: bool = False,
    ) -> ServerLimits:
        """Return the limits of one process.

        `connections` are allowed in all, `connections_per_address` from one client address, and
        `sessions_per_user` for one account. `count_loopback` counts clients of this machine too.
        Raises ValueError: a value is invalid.
        """
        require_count("connections", connections)
        require_count("connections_per_address", connections_per_address)
        require_count("sessions_per_user", sessions_per_user)
        require_switch("count_loopback", count_loopback)
        return cls(
            connections=CountLimit(connections),
            addresses=AddressLimit(connections_per_address, count_loopback=count_loopback),
            users=CountLimit(sessions_per_user),
            throttle=Throttle(count_loopback=count_loopback),
        )

    def report_to(self, note: Callable[[str, str], object]) -> None:
        """Call `note` with the name of each limit that is reached, and with advice."""
        self._note = note
        self.throttle.on_full = lambda: note("failed logins remembered", FAILED)
        counters = self.connections, self.addresses.limit, self.users, self.throttle.places
        for counter in (*counters, self.login_delay):
            counter.on_full = lambda: note("shared counters", UNCOUNTED)

    @property
    def is_crowded(self) -> bool:
        """Whether the number of rejected connections is too high to wait for them."""
        return self.rejected > self.most_lingering

    def note(self, limit: str, advice: str) -> None:
        """Log that a limit is reached."""
        self._note(limit, advice)


class ConnectionSlot:
    """Counts one connection among all connections, and among those from its address."""

    __slots__ = ("_address", "_admitted", "_limits")

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._admitted = False
        self._address: str | None = None  # where it is counted

    def acquire(self, file: int) -> bool:
        """Count the connection in and return True, or reject it: too many, or too few files.

        `file` is its descriptor, the lowest that was free: so it shows how many are left.
        """
        limits = self._limits
        if file >= limits.most_files:
            limits.note("open files", MORE_FILES)
        elif limits.connections.acquire(""):
            self._admitted = True
            return True
        else:
            limits.note("limits.connections", CONNECTIONS)
        self.reject()
        return False

    def acquire_address(self, address: str) -> bool:
        """Count the connection in by its address and return True, or reject it: too many."""
        if self._limits.addresses.acquire(address):
            self._address = address
            return True
        self._limits.note("limits.connections_per_address", ADDRESS)
        self.reject()
        return False

    def reject(self) -> None:
        """Count the connection among those that are rejected and not closed yet."""
        if self._admitted:
            self._admitted = False
            self._limits.connections.release("")
        self._limits.rejected += 1

    def release(self) -> None:
        """Count the connection out."""
        if self._admitted:
            self._limits.connections.release("")
        else:
            self._limits.rejected -= 1
        if self._address is not None:
            self._limits.addresses.release(self._address)
