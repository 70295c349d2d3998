"""However clients come, vanish and stay, nothing of them is left: no count, no lock, no task."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Any

import pytest

from restante.delivery.connection import DeliveryConnection
from restante.delivery.deliverer import Deliverer
from restante.delivery.protocol.session import Dialect
from restante.delivery.sessions import DeliverySessions
from restante.protocol.server.session import EndReason
from restante.protocol.server.settings import AuthOffer, ProtocolSettings
from restante.server.auth_socket.connection import AuthSocketSharing
from restante.server.auth_socket.connection import make_protocol as make_auth_protocol
from restante.server.config.mail_sections import DeliverySection
from restante.server.connection.connection import Connection
from restante.server.connection.transport import ListenerPolicy
from restante.server.context import ServerContext
from restante.server.control.service import ControlService, make_control_protocol
from restante.server.limits.counters import AddressLimit, CountLimit
from restante.server.limits.server_limits import ServerLimits
from restante.server.limits.throttle import Throttle
from restante.server.metrics.http_connection import HttpConnection, HttpReply, HttpService
from restante.server.registry import LiveConnection
from soak.walk_transport import WalkTransport
from soak.walks import MAIL, PASSWORD, USERS, Walk, WalkAccounts

PROXY, DOVECOT, CLIENT = "192.0.2.9", "192.0.2.10", "198.51.100.1"
ADDRESSES = ("192.0.2.1", "192.0.2.2", "127.0.0.1", DOVECOT)
POLICY = ListenerPolicy(
    clear_text="always", proxies=(ip_network(PROXY),), xclient_proxies=(ip_network(DOVECOT),)
)
CONNECTIONS, SESSIONS = 5, 2  # the limits
LOG_IN = b"USER %b\r\nPASS secret\r\n"
MESSAGE_SIZE = 65_536
MAIL_FROM = b"LHLO x\r\nMAIL FROM:<a@x>\r\n"


def plain(user: bytes, password: bytes = PASSWORD) -> bytes:
    return base64.b64encode(b"\0" + user + b"\0" + password)


class WithContext(Walk):
    """A walk beside the accounts and limits of a server."""

    def prepare(self) -> None:
        self.limits = ServerLimits(
            connections=CountLimit(CONNECTIONS),
            addresses=AddressLimit(CONNECTIONS - 1, count_loopback=True),
            users=CountLimit(SESSIONS),
            throttle=Throttle(count_loopback=True, clock=self.loop.time),
        )
        self.context = self.fulfil(self._make_context())

    async def _make_context(self) -> ServerContext:
        mechanisms = frozenset({"PLAIN", "LOGIN", "SCRAM-SHA-256"})
        return ServerContext(
            store=self.store,
            authenticator=WalkAccounts(self.gates),
            log=self.log,
            limits=self.limits,
            settings=ProtocolSettings(login_timeout=20, authorization_timeout=50),
            write_timeout=30,
            take_over=self.rng.random() < 0.5,
            name_holder=self.rng.random() < 0.5,
            utf8_headers=self.rng.choice(("as-stored", "surrogate")),
            offer=lambda: AuthOffer(mechanisms=mechanisms),
        )


class NumberedConnection(Connection):
    """A connection whose place in a set follows from its number, and not from its address."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class Pop3Walk(WithContext):
    """Clients of POP3, some of which come through a proxy."""

    vocabulary = (
        *(LOG_IN % user.encode() for user in USERS),
        LOG_IN % b"ann" + b"DELE 1\r\nQUIT\r\n",
        b"USER ann\r\n", b"PASS secret\r\n", b"PASS wrong\r\n", b"USER nobody\r\n",
        b"AUTH PLAIN\r\n", b"AUTH PLAIN " + plain(b"ann") + b"\r\n", plain(b"bob") + b"\r\n",
        b"AUTH SCRAM-SHA-256 biwsbj1hbm4scj1hYmNkZWZnaA==\r\n", b"*\r\n",
        b"STAT\r\n", b"LIST\r\n", b"UIDL\r\n", b"RETR 1\r\n", b"RETR 2\r\n", b"TOP 3 0\r\n",
        b"DELE 1\r\n", b"DELE 2\r\n", b"RSET\r\n", b"NOOP\r\n" * 30, b"RETR 3\r\n" * 5,
        b"CAPA\r\n", b"XYZ\r\n", b"x" * 3000, b"GET / HTTP/1.1\r\n", b"STAT\r\nQUIT\r\n",
        b"QUIT\r\n", b"PROXY TCP4 198.51.100.1 127.0.0.1 1 2\r\n", b"PROXY UNKNOWN\r\n",
        b"XCLIENT ADDR=198.51.100.1 TTL=6\r\n", b"XCLIENT ADDR=192.0.2.1\r\n",
    )  # fmt: skip

    def prepare(self) -> None:
        super().prepare()
        self.gates.open_all()
        for user in USERS:
            for message in MAIL:
                self.fulfil(self.store.deliver(user, message))
        self.gates.close_all()

    def connect(self, address: str = "") -> WalkTransport:
        address = address or self.rng.choice((*ADDRESSES, PROXY))
        peer = WalkTransport(self.loop, peername=(address, 40000))
        peer.protocol = self.fulfil(self._make())
        return peer

    async def _make(self) -> Connection:
        connection = NumberedConnection(self.context, POLICY)
        connection.number = len(self.peers)
        return connection

    def administer(self, peer: WalkTransport) -> Callable[[], object]:
        connection = peer.protocol
        return self.rng.choice((
            connection.abort, connection.stop, connection.stop_if_lost, connection.describe,
            lambda: connection.stop(EndReason.KICKED),
            lambda: connection.stop_if_idle(self.loop.now),
            lambda: connection.stop_if_changed({"ann"}),
        ))  # fmt: skip

    def check(self) -> None:
        """Check that nothing is counted, mail is removed by QUIT only, and all may come again."""
        context, limits, log = self.context, self.limits, self.lines.getvalue()
        assert (len(context.connections), len(context.connections.background)) == (0, 0)
        assert (limits.connections.count(""), limits.rejected) == (0, 0)
        every = (*ADDRESSES, PROXY, CLIENT)
        assert [limits.addresses.limit.count(one) for one in every] == [0] * 6
        assert [limits.users.count(user) for user in USERS] == [0] * len(USERS)
        assert log.count("event=session ") == len(self.peers)
        left = sum(len(self.store.messages(user)) for user in USERS)
        assert left + log.count("event=message_removed ") == len(USERS) * len(MAIL)
        for user in USERS:
            peer = self.connect(ADDRESSES[0])
            self.do(peer.protocol.connection_made, peer)
            self.do(peer.say, LOG_IN % user.encode() + b"QUIT\r\n")
            self.turn(20)
            assert peer.heard.endswith(b"+OK Logged in.\r\n+OK Logging out.\r\n")
            assert peer.lost


class DeliveryWalk(WithContext):
    """Clients of LMTP, or of SMTP."""

    dialect = Dialect.LMTP
    vocabulary: Sequence[bytes] = (
        MAIL_FROM + b"RCPT TO:<ann>\r\nDATA\r\n",
        MAIL_FROM + b"RCPT TO:<ann>\r\nRCPT TO:<bob>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n",
        b"LHLO x\r\n", b"MAIL FROM:<a@x>\r\n", b"RCPT TO:<ann>\r\n", b"RCPT TO:<nobody>\r\n",
        b"DATA\r\n", b"hello\r\n", b"x" * 30_000 + b"\r\n", b".\r\n", b".\r\n", b"RSET\r\n",
        b"NOOP\r\n" * 30, b"XYZ\r\n", b"HELP\r\n" * 10, b"GET / HTTP/1.1\r\n", b"QUIT\r\n",
    )  # fmt: skip

    def prepare(self) -> None:
        super().prepare()
        self.sessions = self.fulfil(self._make_sessions())

    async def _make_sessions(self) -> DeliverySessions:
        return DeliverySessions(
            deliverer=Deliverer(
                store=self.store, recipients=WalkAccounts(self.gates), log=self.log
            ),
            settings=DeliverySection(connections=CONNECTIONS, message_size=MESSAGE_SIZE),
            host="mail.example.com",
            patience=30,
        )

    def connect(self) -> WalkTransport:
        peer = WalkTransport(self.loop)
        peer.protocol = self.fulfil(self._make())
        return peer

    async def _make(self) -> DeliveryConnection:
        return DeliveryConnection(self.sessions, self.dialect)

    def administer(self, peer: WalkTransport) -> Callable[[], object]:
        connection: DeliveryConnection = peer.protocol
        return self.rng.choice((connection.abort, connection.stop))

    def check(self) -> None:
        """Check that no memory is reserved, and that each message in the store was reported."""
        connections = self.sessions.connections
        before = self.sessions.memory.left
        assert (len(connections), len(connections.background)) == (0, 0)
        assert before == 4 * MESSAGE_SIZE
        stored = sum(len(self.store.messages(user)) for user in USERS)
        assert stored == self.lines.getvalue().count("event=delivered ")
        peer = self.connect()
        self.do(peer.protocol.connection_made, peer)
        is_lmtp = self.dialect is Dialect.LMTP
        many = MAIL_FROM + b"RCPT TO:<ann>\r\n" * 9 + b"DATA\r\na\r\n.\r\nQUIT\r\n"
        self.do(peer.say, many if is_lmtp else many.replace(b"LHLO", b"EHLO"))
        self.turn(60)
        assert peer.heard.count(b"250 2.0.0 delivered\r\n") == (9 if is_lmtp else 1)
        assert peer.lost


class SmtpWalk(DeliveryWalk):
    dialect = Dialect.SMTP
    vocabulary = tuple(word.replace(b"LHLO", b"EHLO") for word in DeliveryWalk.vocabulary)


class AuthSocketWalk(WithContext):
    """Programs at the auth socket, which may stay as long as they like."""

    vocabulary = (
        b"VERSION\t1\t0\nCPID\t1\n", b"VERSION\t1\t1\n", b"VERSION\t1\t1\n", b"XYZ\n",
        b"z" * 20_000,
        *(
            b"AUTH\t%d\t%b\tservice=smtp\trip=192.0.2.4%b\n" % (number, mechanism, more)
            for number in (1, 2, 3)
            for mechanism, more in (
                (b"PLAIN", b"\tresp=" + plain(b"ann")),
                (b"PLAIN", b"\tresp=" + plain(b"bob", b"wrong")),
                (b"LOGIN", b""),
                (b"SCRAM-SHA-256", b"\tresp=biwsbj1hbm4scj1hYmNkZWZnaA=="),
            )
        ),
        *(b"CONT\t%d\tYW5u\n" % number for number in (1, 2, 3)),
        *(b"CANCEL\t%d\n" % number for number in (1, 2, 3)),
        b"AUTH\t4\tPLAIN\tservice=smtp\tresp=" + plain(b"ann") + b"\nCANCEL\t4\n",
    )  # fmt: skip

    def prepare(self) -> None:
        super().prepare()
        self.sharing = self.fulfil(self._make_sharing())

    async def _make_sharing(self) -> AuthSocketSharing:
        return AuthSocketSharing(context=self.context, clear_text="always", most=CONNECTIONS)

    def connect(self) -> WalkTransport:
        peer = WalkTransport(self.loop)
        peer.protocol = self.fulfil(self._make())
        return peer

    async def _make(self) -> Any:
        return make_auth_protocol(self.sharing)

    def administer(self, _peer: WalkTransport) -> Callable[[], object] | None:
        connections = list(self.sharing.connections)
        if len(connections) != 1:  # a set has no order that follows from the seed
            return None
        connection: LiveConnection = connections[0]
        return connection.abort if self.rng.random() < 0.5 else connection.stop

    def check(self) -> None:
        """Check that each open connection may stay, and that nothing is left of the others."""
        for peer in self.peers:
            assert peer.lost or not peer.closing
            self.do(peer.reset)
        self.turn(20)
        assert len(self.sharing.connections) == 0
        peer = self.connect()
        self.do(peer.protocol.connection_made, peer)
        self.do(
            peer.say, b"VERSION\t1\t1\nAUTH\t1\tPLAIN\tservice=smtp\tresp=" + plain(b"ann") + b"\n"
        )
        self.turn(20)
        assert b"\nOK\t1\tuser=ann" in peer.heard
        self.do(peer.end)
        self.turn(20)
        assert peer.lost


class ControlWalk(WithContext):
    """Commands of administrators at the control socket."""

    vocabulary = (
        b'{"action":"sessions"}\n', b'{"action":"status"}\n', b'{"action":"kick","who":"ann"}\n',
        b"{", b"}\n", b'{"x":1}\n', b"q" * 9000,
    )  # fmt: skip

    def prepare(self) -> None:
        super().prepare()
        self.service = ControlService(self.context)
        self.ends = socket.socketpair()

    def connect(self) -> WalkTransport:
        peer = WalkTransport(self.loop, socket=self.ends[0])
        peer.protocol = self.fulfil(self._make())
        return peer

    async def _make(self) -> Any:
        return make_control_protocol(self.service)

    def check(self) -> None:
        """Check that the next request is answered."""
        peer = self.connect()
        self.do(peer.protocol.connection_made, peer)
        self.do(peer.say, b'{"action":"status"}\n')
        self.turn(20)
        assert b'"connections":0' in peer.heard
        assert peer.lost
        for end in self.ends:
            end.close()


class MetricsWalk(Walk):
    """Clients of the address of metrics."""

    vocabulary = (
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"HEAD /slow HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"POST / HTTP/1.1\r\n",
        b"Host: x\r\n", b"\r\n", b"X: " + b"y" * 9000, b"\x16\x03",
    )  # fmt: skip

    def prepare(self) -> None:
        async def slow(_accepted: str) -> HttpReply:
            await self.gates.wait()
            return HttpReply(200, b"z" * 5000)

        async def quick(_accepted: str) -> HttpReply:
            return HttpReply(200, b"q" * 1000)

        self.service = HttpService(
            answers={"/metrics": quick, "/slow": slow},
            on_error=lambda error: self.log.error("incident", exc_info=error),
            most_clients=CONNECTIONS,
        )

    def connect(self) -> WalkTransport:
        peer = WalkTransport(self.loop)
        peer.protocol = HttpConnection(self.service)
        return peer

    def check(self) -> None:
        """Check that no client is counted."""
        assert not self.service.clients


WALKS = (Pop3Walk, DeliveryWalk, SmtpWalk, AuthSocketWalk, ControlWalk, MetricsWalk)
OFTEN = 30  # walks of POP3
SELDOM = 20  # of each of the others


CASES = [
    pytest.param(walk, seed, id=f"{walk.__name__}-{seed}")
    for walk in WALKS
    for seed in range(OFTEN if walk is Pop3Walk else SELDOM)
]


@pytest.mark.parametrize(("walk", "seed"), CASES)
def test_walk(walk: type[Walk], seed: int) -> None:
    """Nothing is left of clients that come, say anything, vanish, or read nothing."""
    walk(seed).run()
