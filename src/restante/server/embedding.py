"""A whole server inside another program: POP3, and LMTP or SMTP if you like."""

from __future__ import annotations

import contextlib
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast, get_args

from restante.auth.interfaces import FindsOwner
from restante.net.addresses import HIGHEST_PORT, is_port
from restante.protocol.server.sasl import SERVER_MECHANISMS
from restante.protocol.server.settings import (
    AuthOffer,
    ProtocolSettings,
    require_seconds,
    require_several,
)
from restante.server.config.addresses import ListenAddress
from restante.server.config.mail_sections import DeliverySection
from restante.server.connection.connection import Connection
from restante.server.connection.transport import ListenerPolicy
from restante.server.context import ServerContext
from restante.server.lifecycle import ServerLifecycle
from restante.server.limits.server_limits import ServerLimits
from restante.server.listener import (
    STOP_PATIENCE,
    ConnectionFactory,
    ListenConfig,
    serve_listeners,
)
from restante.server.log.loggers import default_logger
from restante.server.policies import ClearText
from restante.server.tasks.account_watch import watching_accounts
from restante.server.tasks.background import background_tasks
from restante.server.tasks.peers import sharing_with_peers
from restante.storage.interfaces import open_store

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from structlog.stdlib import BoundLogger
    from structlog.typing import FilteringBoundLogger

    from restante.auth.interfaces import Authenticator
    from restante.delivery.recipients import Recipients
    from restante.server.tls.certificates import Certificates
    from restante.storage.interfaces import Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listener:
    """An address for POP3 clients.

    Attributes:
        host: a name or an IP address; "" for all addresses of the machine.
        port: 0 for any free port.
        certificates: for TLS; without them, clients can only connect in clear text.
        implicit_tls: TLS from the first octet, as on port 995; otherwise clients use STLS.
        clear_text: from where passwords may come without TLS: "loopback", "always" or "never".
        connection: the class of its connections, for tests that watch them or change what is said.

    Raises ValueError: an attribute has another value, or `implicit_tls` has no certificates.
    """

    host: str = "127.0.0.1"
    port: int = 110
    _: KW_ONLY
    certificates: Certificates | None = None
    implicit_tls: bool = False
    clear_text: ClearText = "loopback"
    connection: ConnectionFactory = Connection

    def __post_init__(self) -> None:
        if not isinstance(self.host, str):  # None would be all addresses
            raise ValueError(f"host is {self.host!r}: it must be text")  # noqa: TRY004  # see port
        if not is_port(self.port):
            raise ValueError(f"port is {self.port!r}: it must be a number from 0 to {HIGHEST_PORT}")
        if self.clear_text not in get_args(ClearText):
            known = ", ".join(map(repr, get_args(ClearText)))
            raise ValueError(f"clear_text is {self.clear_text!r}: it must be one of {known}")
        if self.implicit_tls and self.certificates is None:
            raise ValueError("implicit_tls requires certificates")

    def config(self) -> ListenConfig:
        """Return what the server makes of it."""
        policy = ListenerPolicy(
            certificates=self.certificates,
            implicit_tls=self.implicit_tls,
            clear_text=self.clear_text,
        )
        return ListenConfig(ListenAddress(self.host, self.port), policy, self.connection)


@dataclass(eq=False, repr=False)
class Server(ServerLifecycle):
    """A server with the program's own mail store and accounts.

    `async with Server(store, accounts) as server:` serves while the block runs, on the program's
    event loop. `with Server(store, accounts) as server:` does the same in a thread, for a program
    without one. Either way the end of the block is graceful: idle sessions end at once, a reply
    under way has `stop_timeout` seconds, and only QUIT removes mail. No signal is handled.

    Attributes:
        store: the maildrops.
        accounts: the users; see `restante.auth.Authenticator`.
        listeners: where POP3 clients connect.
        lmtp: where an MTA delivers: the file of a Unix socket, or a HOST:PORT of this machine.
        smtp: a HOST:PORT of this machine where programs under test deliver.
        recipients: the recipients of mail. None means `accounts`, which must be an
            AccountDirectory.
        settings: timeouts, the greeting and the like.
        limits: how many connections and sessions; see `ServerLimits.create`.
        lock_timeout: seconds for a maildrop that another session holds.
        offer: returns the mechanisms of AUTH that CAPA lists, for each new connection.
        log: any logger of structlog. By default it is that of `structlog.configure`, which prints
            on standard output if the program has configured nothing.
        stop_timeout: seconds.
        addresses: where the server listens for POP3, with the ports that were free.
        smtp_address: where it listens for SMTP, if it does.

    Raises TypeError: an argument is of another kind, such as a `log` that is not a logger of
    structlog. Raises ValueError: a timeout is invalid.
    """

    store: Store
    accounts: Authenticator
    listeners: Sequence[Listener] = (Listener(),)
    _: KW_ONLY
    lmtp: str | None = None
    smtp: str | None = None
    recipients: Recipients | None = None
    settings: ProtocolSettings = field(default_factory=ProtocolSettings)
    limits: ServerLimits = field(default_factory=ServerLimits)
    lock_timeout: float = 3
    offer: Callable[[], AuthOffer] = AuthOffer
    log: FilteringBoundLogger | BoundLogger = field(default_factory=default_logger)
    stop_timeout: float = STOP_PATIENCE
    addresses: list[ListenAddress] = field(init=False, default_factory=list)
    smtp_address: ListenAddress | None = field(init=False, default=None)
    _started: bool = field(init=False, default=False)
    thread_name = "restante.server"

    def __post_init__(self) -> None:
        require_seconds("lock_timeout", self.lock_timeout, least=0)
        require_seconds("stop_timeout", self.stop_timeout, least=0)
        if not hasattr(self.log, "bind"):
            raise TypeError("log must be a logger of structlog; see structlog.wrap_logger")
        _require_methods("store", self.store, "acquire", "deliver")
        _require_methods("accounts", self.accounts, "verify")
        if self.recipients is not None:
            _require_methods("recipients", self.recipients, "owner")
        if isinstance(self.listeners, Listener):
            raise TypeError("listeners must be a list: write [Listener(...)]")
        for listener in self.listeners:
            _require_type("each of listeners", listener, Listener)
        _require_type("settings", self.settings, ProtocolSettings)
        _require_type("limits", self.limits, ServerLimits)
        if not callable(self.offer):
            raise TypeError("offer must be a function that returns an AuthOffer")

    async def start(self) -> None:
        """Listen, and serve until `stop`. A server starts once.

        Raises ListenError: an address cannot be used. Raises ValueError: an address for delivery
        is not of this machine, there is no list of recipients, or `offer` has an unknown mechanism.
        Raises TypeError: `offer` returns another type. Raises StoreError: the store cannot be
        opened. Raises RuntimeError: this server was started before.
        """
        if self._started:
            raise RuntimeError("a server starts only once")
        self._started = True
        context = ServerContext(
            store=self.store,
            authenticator=self.accounts,
            log=cast("FilteringBoundLogger", self.log),
            settings=self.settings,
            limits=self.limits,
            lock_timeout=self.lock_timeout,
            offer=self.offer,
        )
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(open_store(self.store))
            _check_offer(self.offer())
            await stack.enter_async_context(sharing_with_peers(context))
            await stack.enter_async_context(watching_accounts(context))
            if self.lmtp or self.smtp:
                await self._start_delivery(stack, context)
            configs = [listener.config() for listener in self.listeners]
            sockets = await stack.enter_async_context(
                serve_listeners(context, configs, self.stop_timeout)
            )
            known = {listener.certificates: None for listener in self.listeners}
            certificates = [one for one in known if one is not None]
            await stack.enter_async_context(background_tasks(context, None, certificates))
            self.addresses = [_address(one) for one in sockets]
            self._running = stack.pop_all()

    async def _start_delivery(
        self, stack: contextlib.AsyncExitStack, context: ServerContext
    ) -> None:
        from restante.delivery.listener import DeliveryListener
        from restante.delivery.recipients import AccountRecipients

        recipients = self.recipients
        if recipients is None:
            if not isinstance(self.accounts, FindsOwner):
                raise ValueError("delivery needs `recipients`, or accounts with a method `owner`")
            recipients = AccountRecipients(self.accounts)
        known = recipients
        listener = DeliveryListener(
            settings=DeliverySection(lmtp=self.lmtp, smtp=self.smtp),
            recipients=lambda _store, _accounts: known,
            stop_patience=self.stop_timeout,
        )
        stack.callback(listener.close)
        sockets = listener.open()
        if self.smtp:
            self.smtp_address = _address(sockets[-1])
        await stack.enter_async_context(listener.serve(sockets, context))


def _address(opened: socket.socket) -> ListenAddress:
    return ListenAddress(*opened.getsockname()[:2])


def _require_methods(name: str, value: object, *methods: str) -> None:
    """Raise TypeError: an argument lacks a method, or is a class in place of an object."""
    if isinstance(value, type):
        raise TypeError(f"{name} must be an object, and not the class {value.__name__}")
    for method in methods:
        if not hasattr(value, method):  # its repr may show passwords
            raise TypeError(
                f"{name} must have a method `{method}`: {type(value).__name__} has none"
            )


def _require_type(name: str, value: object, kind: type) -> None:
    """Raise TypeError: an argument has another type."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be of type {kind.__name__}, not {type(value).__name__}")


def _check_offer(offer: object) -> None:
    """Raise TypeError: it is not an offer. Raise ValueError: it has an unknown mechanism."""
    _require_type("what offer returns", offer, AuthOffer)
    assert isinstance(offer, AuthOffer)
    require_several("mechanisms", offer.mechanisms)
    for name in offer.mechanisms:
        if name not in SERVER_MECHANISMS:
            known = ", ".join(SERVER_MECHANISMS)
            raise ValueError(f"the mechanism {name!r} is not known; use some of {known}")
