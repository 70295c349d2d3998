"""The server of developer mode: POP3 and SMTP with mail in memory, in a thread or on a loop."""

from __future__ import annotations

import contextlib
import functools
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from restante.delivery.deliverer import Deliverer
from restante.delivery.sessions import DeliverySessions
from restante.developer.accounts import DeveloperAccounts
from restante.developer.faults import FaultSwitch, find_fault
from restante.developer.feed import EventFeed
from restante.developer.hiding import check_hidden
from restante.developer.kept_mail import KeptMail
from restante.developer.mailboxes import Mailboxes
from restante.developer.pop3_connection import DeveloperPop3Connection, Pop3Sharing
from restante.developer.sessions import SessionTable
from restante.developer.smtp_connection import DeveloperSmtpConnection, SmtpSharing
from restante.misbehave.fault import GOOD
from restante.protocol.server.settings import AuthOffer, ProtocolSettings
from restante.server import embedding
from restante.server.config.addresses import ListenAddress
from restante.server.config.mail_sections import DeliverySection
from restante.server.embedding import Listener
from restante.server.lifecycle import ServerLifecycle
from restante.server.listener import ListenError, open_sockets
from restante.server.log.loggers import default_logger
from restante.server.system.accepting import accept_at
from restante.server.system.unix_sockets import BACKLOG
from restante.server.tls.certificates import Certificates

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from restante.protocol.secret import Secret
    from restante.server.policies import ClearText
    from restante.server.tls.certificate_files import CertificateFiles

T = TypeVar("T")

HOST = "127.0.0.1"
PATIENCE = 300  # seconds for the next command of SMTP
STOP_TIMEOUT = 1  # seconds for a reply under way, when the server stops


@dataclass(frozen=True, kw_only=True)
class DeveloperOptions:
    """The options of a server of developer mode.

    Attributes:
        host: the address where it listens. port, tls_port, smtp_port, smtps_port: 0 for any free
            port, None for none. The ports for TLS are opened with `tls` only.
        tls: offer STLS and STARTTLS, and ports for TLS from the first octet.
        faults: the faults of POP3 and SMTP that are on from the beginning, those of TLS among
            them. ValueError is raised for an unknown one.
        certificate: the files of a certificate and its key; None makes a certificate.
        keep: a folder in which the mail is kept; None keeps it in memory.
        any_account: a name that was not added may log in.
        shared_password: the password of such names; None accepts any.
        any_address: SMTP accepts mail for any address; False for added accounts only.
        clear_text: from where passwords may come without TLS: "loopback", "always" or "never".
        lock_patience: seconds for a maildrop that another session holds.
        settings: timeouts, the greeting and so on, for POP3.
        offer: the mechanisms of AUTH, for POP3.
        without: capabilities of POP3 that are not there, such as "UIDL". ValueError is raised for
            an unknown one.
        log: any logger of structlog.
        stop_timeout: seconds for a reply under way, when the server stops.
    """

    host: str = HOST
    port: int = 0
    tls_port: int | None = 0
    smtp_port: int | None = 0
    smtps_port: int | None = 0
    tls: bool = False
    faults: Sequence[str] = ()
    certificate: CertificateFiles | None = None
    keep: Path | None = None
    any_account: bool = False
    shared_password: Secret | None = None
    any_address: bool = True
    clear_text: ClearText = "loopback"
    lock_patience: float = 3
    settings: ProtocolSettings = field(default_factory=ProtocolSettings)
    offer: AuthOffer = field(default_factory=AuthOffer)
    without: Collection[str] = ()
    log: FilteringBoundLogger = field(default_factory=default_logger)
    stop_timeout: float = STOP_TIMEOUT


class DeveloperServer(ServerLifecycle):
    """A server that runs while a `with` or an `async with` block runs. It starts once.

    `with` serves in a thread, `async with` on the program's event loop. The attributes may be used
    from any thread.

    Attributes:
        feed: what happens. mailboxes: the mail. sessions: the conversations. accounts: the users.
        faults: those that are on.
        host: where it listens. port, tls_port, smtp_port, smtps_port: None for none.
        authority: a PEM file with which clients can verify TLS, None without TLS.
    """

    thread_name = "restante.developer"

    def __init__(self, options: DeveloperOptions | None = None) -> None:
        self.options = options = options or DeveloperOptions()
        self.feed = EventFeed()
        self._kept = KeptMail(options.keep) if options.keep else None
        self.mailboxes = Mailboxes(self.feed, kept=self._kept)
        self.sessions = SessionTable(self.feed)
        self.faults = FaultSwitch(self.feed, [find_fault(text) for text in options.faults])
        self.mailboxes.show_messages = self.faults.show_messages
        self.accounts = DeveloperAccounts(
            any_account=options.any_account,
            any_address=options.any_address,
            shared_password=options.shared_password,
        )
        self.host = options.host
        self.port: int = 0
        self.tls_port: int | None = None
        self.smtp_port: int | None = None
        self.smtps_port: int | None = None
        self.authority: Path | None = None

    async def start(self) -> None:
        """Listen, and serve until `stop`. Raises ListenError: an address cannot be used.

        Raises OSError and FullError: the folder of `keep` cannot be used, or has too much mail.
        """
        certificates = self._load_certificates()
        async with contextlib.AsyncExitStack() as stack:
            if self._kept:
                self._kept.open()
                stack.callback(self._kept.close)
                self.mailboxes.load()
            server = await stack.enter_async_context(self._pop3_server(certificates))
            self.port, *more = (address.port for address in server.addresses)
            self.tls_port = more[0] if more else None
            await self._start_smtp(stack, certificates)
            self._running = stack.pop_all()

    def _load_certificates(self) -> Certificates | None:
        """Return the certificates for TLS, those of a fault before all others."""
        pair = self.options.certificate
        if not (self.options.tls or self.faults.need_tls):
            return None
        if pair and self.faults.certificate == GOOD:
            self.authority = pair.certificate
            return Certificates([pair])
        from restante.misbehave import certificates as faulty

        self.authority = faulty.authority_file()
        return faulty.certificates(self.faults.certificate)

    def _pop3_server(self, certificates: Certificates | None) -> embedding.Server:
        options = self.options
        sharing = Pop3Sharing(
            accounts=self.accounts,
            mailboxes=self.mailboxes,
            sessions=self.sessions,
            faults=self.faults,
            hidden=check_hidden(options.without),
        )
        listen = functools.partial(
            Listener,
            options.host,
            clear_text=options.clear_text,
            connection=functools.partial(DeveloperPop3Connection, sharing),
        )
        swapped = self.faults.swapped
        listeners = [listen(options.port, certificates=certificates, implicit_tls=swapped)]
        if certificates and options.tls_port is not None:
            kept = None if swapped else certificates
            listeners.append(listen(options.tls_port, certificates=kept, implicit_tls=not swapped))
        return embedding.Server(
            self.mailboxes,
            self.accounts,
            listeners,
            settings=options.settings,
            offer=lambda: options.offer,
            lock_timeout=options.lock_patience,
            log=options.log,
            stop_timeout=options.stop_timeout,
        )

    async def _start_smtp(
        self, stack: contextlib.AsyncExitStack, certificates: Certificates | None
    ) -> None:
        options = self.options
        deliverer = Deliverer(
            store=self.mailboxes, recipients=self.accounts, log=options.log, delimiter=""
        )
        deliveries = DeliverySessions(
            deliverer=deliverer,
            settings=DeliverySection(),
            host=socket.gethostname(),
            patience=PATIENCE,
        )
        stack.push_async_callback(deliveries.connections.stop, options.stop_timeout)
        share = functools.partial(
            SmtpSharing,
            deliveries=deliveries,
            mailboxes=self.mailboxes,
            sessions=self.sessions,
            faults=self.faults,
            certificates=certificates,
        )
        if options.smtp_port is not None:
            self.smtp_port = await _listen(stack, options.host, options.smtp_port, share())
        if certificates and options.smtps_port is not None:
            sharing = share(implicit_tls=True)
            self.smtps_port = await _listen(stack, options.host, options.smtps_port, sharing)


async def _listen(
    stack: contextlib.AsyncExitStack, host: str, port: int, sharing: SmtpSharing
) -> int:
    """Listen for SMTP until the stack closes, and return the port. Raises ListenError."""
    context = None
    if sharing.implicit_tls:
        assert sharing.certificates is not None
        context = sharing.certificates.context()
    opened: Sequence[socket.socket] = open_sockets(ListenAddress(host, port))
    if not opened:
        raise ListenError(f"cannot listen at {host}:{port}")
    connect = functools.partial(DeveloperSmtpConnection, sharing)
    for one in opened:
        stack.callback(one.close)  # if the start is cancelled before its turn
    for one in opened:
        stack.callback((await accept_at(connect, one, BACKLOG, context)).close)
    bound_port: int = opened[0].getsockname()[1]
    return bound_port
