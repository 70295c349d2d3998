"""Nothing is left of clients of developer mode, whose server misbehaves, too."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from restante.delivery.connection import DeliveryConnection
from restante.delivery.deliverer import Deliverer
from restante.delivery.sessions import DeliverySessions
from restante.developer.accounts import DeveloperAccounts
from restante.developer.faults import FaultSwitch
from restante.developer.feed import EventFeed
from restante.developer.mailboxes import Mailboxes
from restante.developer.pop3_connection import DeveloperPop3Connection, Pop3Sharing
from restante.developer.sessions import SessionTable
from restante.developer.smtp_connection import DeveloperSmtpConnection, SmtpSharing
from restante.protocol.server.settings import AuthOffer, ProtocolSettings
from restante.server.config.mail_sections import DeliverySection
from restante.server.connection.connection import Connection
from restante.server.connection.transport import ListenerPolicy
from restante.server.context import ServerContext
from soak.test_walks import MESSAGE_SIZE, DeliveryWalk, Pop3Walk, SmtpWalk, WithContext, plain
from soak.walk_transport import WalkTransport
from soak.walks import LONG, MAIL, USERS, Walk

FAULTS = (
    "connect-reset", "connect-silent", "login-reset", "quit-reset", "retr-cut", "retr-reset",
    "retr-stall", "top-stall", "slow-rate", "smtp-drip", "smtp-reset", "smtp-data-reset",
    "smtp-quit-closed", "smtp-quit-silent", "smtp-reply-cut",
)  # fmt: skip
FAULT_TIME = 3600  # seconds that a faulty session may last


class ClientSocket:
    """The socket of a connection. It is closed once the connection is lost."""

    def __init__(self, peer: DeveloperTransport) -> None:
        self._peer = peer

    def fileno(self) -> int:
        return -1

    def setsockopt(self, *_: object) -> None:
        if self._peer.lost:
            raise OSError(errno.EBADF, "the socket is closed")


class DeveloperTransport(WalkTransport):
    """A transport with a socket."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ClientSocket(self) if name == "socket" else super().get_extra_info(name, default)


class DeveloperPop3Walk(Pop3Walk):
    """Clients of POP3, in any account."""

    def prepare(self) -> None:
        WithContext.prepare(self)
        feed = EventFeed()
        self.boxes = Mailboxes(feed)
        self.sessions_seen = SessionTable(feed)
        self.faults = FaultSwitch(feed)
        self.accounts = DeveloperAccounts(any_account=True, any_address=True, shared_password=None)
        for user in USERS:
            for message in MAIL:
                self.boxes.add(user, message)
        self.context = self.fulfil(self._make_developer_context())

    async def _make_developer_context(self) -> ServerContext:
        return ServerContext(
            store=self.boxes,
            authenticator=self.accounts,
            log=self.log,
            limits=self.limits,
            settings=ProtocolSettings(login_timeout=20, authorization_timeout=50),
            write_timeout=30,
            offer=lambda: AuthOffer(mechanisms=frozenset({"PLAIN", "LOGIN"})),
        )

    def connect(self, address: str = "127.0.0.1") -> WalkTransport:
        """Return a connection; before some of them, other faults are switched on."""
        if self.rng.random() < 0.3:
            self.faults.set(self.rng.sample(FAULTS, self.rng.randrange(3)))
        peer = DeveloperTransport(self.loop, peername=(address, 40000))
        peer.protocol = self.fulfil(self._make())
        return peer

    async def _make(self) -> Connection:
        sharing = Pop3Sharing(
            accounts=self.accounts,
            mailboxes=self.boxes,
            sessions=self.sessions_seen,
            faults=self.faults,
        )
        policy = ListenerPolicy(clear_text="always")
        return DeveloperPop3Connection(sharing, self.context, policy)

    def _finish(self) -> None:
        """Let the longest faults end, too."""
        super()._finish()
        for _ in range(FAULT_TIME // LONG):
            self.loop.now += LONG
            self.turn(60)

    def check(self) -> None:
        """Check that nothing is counted, and that each session is over on the page, too."""
        context, limits = self.context, self.limits
        assert (len(context.connections), len(context.connections.background)) == (0, 0)
        assert (limits.connections.count(""), limits.rejected) == (0, 0)
        assert [limits.users.count(user) for user in USERS] == [0] * len(USERS)
        check_page(self)


class DeveloperSmtpWalk(DeveloperPop3Walk):
    """Clients of SMTP, with any login."""

    vocabulary = (
        *SmtpWalk.vocabulary,
        b"AUTH PLAIN " + plain(b"ann") + b"\r\n", b"AUTH LOGIN\r\n", b"YW5u\r\n", b"c2VjcmV0\r\n",
        b"*\r\n", b"AUTH CRAM-MD5\r\n",
    )  # fmt: skip
    administer = DeliveryWalk.administer

    def prepare(self) -> None:
        super().prepare()
        self.deliveries = self.fulfil(self._make_deliveries())

    async def _make_deliveries(self) -> DeliverySessions:
        deliverer = Deliverer(
            store=self.boxes, recipients=self.accounts, log=self.log, delimiter=""
        )
        settings = DeliverySection(connections=5, message_size=MESSAGE_SIZE)
        return DeliverySessions(deliverer=deliverer, settings=settings, host="h", patience=30)

    async def _make(self) -> DeliveryConnection:  # type: ignore[override]  # another connection
        return DeveloperSmtpConnection(
            SmtpSharing(
                deliveries=self.deliveries,
                mailboxes=self.boxes,
                sessions=self.sessions_seen,
                faults=self.faults,
            )
        )

    def check(self) -> None:
        """Check that nothing is counted, and that no memory is reserved."""
        connections = self.deliveries.connections
        assert (len(connections), len(connections.background)) == (0, 0)
        assert self.deliveries.memory.left == 4 * MESSAGE_SIZE
        check_page(self)


def check_page(walk: DeveloperPop3Walk) -> None:
    """Check that the page shows no session that lives, holds a mailbox or marks a message."""
    assert not [session for session in walk.sessions_seen.all() if session.live]
    assert [walk.boxes.holder(user) for user in USERS] == [None] * len(USERS)
    assert all(mail.marked_by is None for mail in walk.boxes.mail())


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("walk", [DeveloperPop3Walk, DeveloperSmtpWalk])
def test_walk(walk: type[Walk], seed: int) -> None:
    """Whatever clients and the faults of the server do, no session is left."""
    walk(seed).run()
