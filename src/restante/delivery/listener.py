"""The sockets for LMTP and SMTP, which `pop3 serve` opens beside those of POP3."""

from __future__ import annotations

import contextlib
import functools
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from restante.auth.wrapped_accounts import unwrap
from restante.delivery.connection import DeliveryConnection
from restante.delivery.deliverer import Deliverer
from restante.delivery.protocol.session import Dialect
from restante.delivery.sessions import DeliverySessions
from restante.net.addresses import format_own_address
from restante.server.config.addresses import (
    ListenAddress,
    parse_local_address,
    parse_loopback_address,
)
from restante.server.listener import STOP_PATIENCE, ListenError, explain_listening
from restante.server.system.accepting import AcceptsConnections, accept_at, stop_accepting
from restante.server.system.unix_sockets import (
    BACKLOG,
    UnixSockets,
    serve_unix_socket,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from structlog.typing import FilteringBoundLogger

    from restante.auth.interfaces import Authenticator
    from restante.delivery.quota import QuotaDelivery
    from restante.delivery.recipients import Recipients
    from restante.server.config.mail_sections import DeliverySection
    from restante.server.context import ServerContext
    from restante.server.system.activation import ActivatedSockets, SocketName
    from restante.storage.interfaces import Store

QuotasFactory: TypeAlias = (
    "Callable[[Store, Authenticator, FilteringBoundLogger], QuotaDelivery | None]"
)

PATIENCE = 300  # seconds for a client's next command: RFC 5321 section 4.5.3.2.7


class DeliveryListenError(ListenError):
    """The server cannot listen for mail at an address; the text says why."""


@dataclass(kw_only=True)
class DeliveryListener:
    """Listens for mail beside POP3.

    `recipients` makes a lookup of recipients, and `quotas` what keeps accounts within their quota.
    """

    settings: DeliverySection
    recipients: Callable[[Store, Authenticator], Recipients]
    quotas: QuotasFactory | None = None
    unknown_hint: str = ""  # follows the reply about an unknown recipient
    patience: float = PATIENCE  # seconds
    stop_patience: float = STOP_PATIENCE  # seconds
    activated: ActivatedSockets | None = None  # by the service manager
    _files: UnixSockets = field(init=False, default_factory=UnixSockets)

    def open(self) -> Sequence[socket.socket]:
        """Return listening sockets, for LMTP and then for SMTP. Raises DeliveryListenError."""
        places: list[Path | ListenAddress] = []
        if self.settings.lmtp:
            places.append(parse_local_address(self.settings.lmtp))
        if self.settings.smtp:
            places.append(parse_loopback_address(self.settings.smtp))
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            sockets = [undo.enter_context(self._open(place)) for place in places]
            undo.pop_all()
        return sockets

    @contextlib.asynccontextmanager
    async def serve(
        self, sockets: Sequence[socket.socket], context: ServerContext
    ) -> AsyncIterator[None]:
        """Accept mail at these sockets while the block runs; then finish deliveries under way."""
        log = context.log
        sessions = self._sessions(context)
        dialects = [Dialect.LMTP] * bool(self.settings.lmtp) + [Dialect.SMTP]
        servers: list[AcceptsConnections] = []
        try:
            for dialect, opened in zip(dialects, sockets, strict=False):
                servers.append(await self._accept(sessions, dialect, opened))
                service = dialect.name.lower()
                context.listening.append((service, servers[-1]))
                log.info("listening", address=format_own_address(opened), way=service)
            yield
        finally:
            try:
                await stop_accepting(servers)
            finally:
                for one in sockets:  # a start that was cancelled has left some without a server
                    one.close()
                await sessions.connections.stop(self.stop_patience)

    def replace_lost(
        self, sockets: Sequence[socket.socket], log: FilteringBoundLogger
    ) -> Sequence[socket.socket]:
        """Return these sockets, with a new one for each whose file is gone."""
        return self._files.replace_lost(sockets, log)

    def close(self) -> None:
        """Remove the files of our Unix sockets."""
        self._files.close()

    async def _accept(
        self, sessions: DeliverySessions, dialect: Dialect, opened: socket.socket
    ) -> AcceptsConnections:
        connect = functools.partial(DeliveryConnection, sessions, dialect)
        if opened.family == socket.AF_UNIX:
            log = sessions.deliverer.log
            return await serve_unix_socket(connect, opened, self._files, log)
        return await accept_at(connect, opened, BACKLOG)

    def _quotas(self, context: ServerContext) -> QuotaDelivery | None:
        make = self.quotas
        return make(context.store, unwrap(context.authenticator), context.log) if make else None

    def _sessions(self, context: ServerContext) -> DeliverySessions:
        deliverer = Deliverer(
            store=context.store,
            recipients=self.recipients(context.store, unwrap(context.authenticator)),
            log=context.log,
            delimiter=self.settings.recipient_delimiter,
            default_domain=context.default_domain,
            junk_extension=self.settings.junk_extension,
            quotas=self._quotas(context),
        )
        return DeliverySessions(
            deliverer=deliverer,
            settings=self.settings,
            host=socket.gethostname(),
            patience=self.patience,
            unknown_hint=self.unknown_hint,
        )

    def _open(self, place: Path | ListenAddress) -> socket.socket:
        try:
            names: list[SocketName] = (
                [str(place)] if isinstance(place, Path) else [(place.host, place.port)]
            )
            if self.activated and (ready := self.activated.take(names)):
                return ready[0]
            if isinstance(place, Path):
                mode, group = self.settings.socket_mode, self.settings.socket_group
                return self._files.open(place, mode, group)
            return _open_port(place)
        except (OSError, LookupError) as error:
            reason = explain_listening(error, place)
            raise DeliveryListenError(f"cannot listen for mail at {place}: {reason}") from error


def _open_port(address: ListenAddress) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address.host, address.port))
        opened.listen(BACKLOG)
    except BaseException:
        opened.close()
        raise
    return opened
