"""Programs at the auth socket, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import scramp

from restante.auth.file.accounts import FileAuthenticator
from restante.auth.interfaces import UnavailableError
from restante.auth.masters import Masters
from restante.protocol.secret import Secret
from restante.protocol.server.sasl import SERVER_MECHANISMS
from restante.protocol.server.settings import AuthOffer, Identity, ProtocolSettings
from restante.server.auth_socket.connection import (
    MAX_LOGINS,
    AuthSocketSharing,
    make_protocol,
)
from restante.server.limits.client_bounds import LINGER
from restante.server.policies import ClearText
from support.clocked_server import Clocked, Peer, clocked
from support.passwords import Passwords, quick_hash

ADDRESS = "192.0.2.1"
HELLO = b"VERSION\t1\t1\nCPID\t1\n"
POSTFIX = b"VERSION\t1\t0\nCPID\t1\n"
ALL = AuthOffer(mechanisms=frozenset(SERVER_MECHANISMS))
FILTER = Path(__file__).parents[3] / "contrib/fail2ban/restante.conf"


class Accounts(Passwords):
    """Accounts that can be out of order, and let a check wait."""

    def __init__(self) -> None:
        super().__init__()
        self.known["ann"] = "secret"
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def verify(self, user: str, password: Secret) -> Identity:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return await super().verify(user, password)


class Door:
    """A server with an auth socket."""

    def __init__(
        self, server: Clocked, accounts: Accounts, clear_text: ClearText, most: int
    ) -> None:
        self.server = server
        self.accounts = accounts
        self.sharing = server.loop.do(
            lambda: AuthSocketSharing(context=server.context, clear_text=clear_text, most=most)
        )

    @property
    def log(self) -> str:
        return self.server.log.getvalue()

    def connect(self, hello: bytes = HELLO) -> Peer:
        peer = Peer(self.server.loop, functools.partial(make_protocol, self.sharing), "")
        assert peer.heard.endswith(b"DONE\n") or peer.closed
        assert peer.say(hello) == b""
        return peer

    def failures(self, user: str = "ann") -> int:
        return self.server.context.limits.throttle.failures(ADDRESS, user)[0]


@contextlib.contextmanager
def door(clear_text: ClearText = "loopback", most: int = 10, **options: Any) -> Iterator[Door]:
    accounts = Accounts()
    with clocked(authenticator=accounts, offer=lambda: ALL, **options) as server:
        yield Door(server, accounts, clear_text, most)


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets)


def auth(
    mechanism: str = "PLAIN",
    initial: bytes | None = None,
    number: int = 1,
    more: str = f"\trip={ADDRESS}\tsecured",
) -> bytes:
    line = f"AUTH\t{number}\t{mechanism}\tservice=smtp\tnologin{more}".encode()
    return line + (b"" if initial is None else b"\tresp=" + b64(initial)) + b"\n"


def cont(response: bytes, number: int = 1) -> bytes:
    return b"CONT\t%d\t%b\n" % (number, b64(response))


def test_plain() -> None:
    """A right password gives the name of the account, and an event with the user's address."""
    with door() as opened:
        peer = opened.connect()
        assert peer.say(auth(initial=b"\0ann\0secret")) == b"OK\t1\tuser=ann\n"
        line = (
            f"event=login address={ADDRESS} user=ann method=password tls=yes service=smtp session="
        )
        assert line in opened.log


def test_master_user_without_a_service(tmp_path: Path) -> None:
    """No master user sends mail as another user, also where a program names no service."""
    (tmp_path / "masters").touch(0o600)
    (tmp_path / "masters").write_text(f"admin:{quick_hash(b'other')}\n")
    masters = Masters(FileAuthenticator(tmp_path / "masters", print), cast("Any", Accounts()), "*")
    with door(masters=masters) as opened:
        line = f"AUTH\t1\tPLAIN\trip={ADDRESS}\tsecured\tresp=".encode()
        reply = opened.connect().say(line + b64(b"\0ann*admin\0other") + b"\n")
        assert reply.startswith(b"FAIL\t1\tuser=ann*admin\t")
        assert "service=unknown" in opened.log


def test_wrong_password() -> None:
    """A wrong password counts as a failure, and fail2ban's filter finds it in the log."""
    with door() as opened:
        peer = opened.connect()
        reply = peer.say(auth(initial=b"\0ann\0wrong"))
        assert reply == b"FAIL\t1\tuser=ann\treason=Name or password is wrong.\n"
        assert opened.failures() == 1
        line = f"level=warning event=login_failed address={ADDRESS} user=ann method=password"
        assert line in opened.log
        assert "service=smtp" in opened.log
        assert "event=login_failed address=<ADDR> user=" in FILTER.read_text()


def test_login() -> None:
    """A user that sends no initial response is asked, by an older client as by Exim's."""
    with door() as opened:
        peer = opened.connect()
        assert peer.say(auth("LOGIN", b"")) == b"CONT\t1\t%b\n" % b64(b"Username:")
        assert peer.say(cont(b"ann")) == b"CONT\t1\t%b\n" % b64(b"Password:")
        assert peer.say(cont(b"secret")) == b"OK\t1\tuser=ann\n"


def test_scram() -> None:
    """A client with SCRAM gets the server's proof before the end."""
    client = scramp.ScramClient(["SCRAM-SHA-256"], "ann", "secret")
    with door() as opened:
        peer = opened.connect()
        reply = peer.say(auth("SCRAM-SHA-256", client.get_client_first().encode()))
        client.set_server_first(base64.b64decode(reply.split(b"\t")[2]).decode())
        reply = peer.say(cont(client.get_client_final().encode()))
        client.set_server_final(base64.b64decode(reply.split(b"\t")[2]).decode())
        assert peer.say(cont(b"")) == b"OK\t1\tuser=ann\n"
        assert "method=SCRAM" in opened.log


@pytest.mark.parametrize("end", ["cancel", "hang up"])
def test_abandoned_scram(end: str) -> None:
    """SCRAM that ends after its challenge counts as a failure, as in POP3."""
    client = scramp.ScramClient(["SCRAM-SHA-256"], "ann", "secret")
    with door() as opened:
        peer = opened.connect()
        peer.say(auth("SCRAM-SHA-256", client.get_client_first().encode()))
        if end == "cancel":
            assert peer.say(b"CANCEL\t1\n") == b""
        else:
            peer.abort()
            opened.server.loop.turn()
        assert opened.failures() == 1
        assert len(opened.sharing.connections) == (end == "cancel")


@pytest.mark.parametrize("hello", [HELLO, POSTFIX])
def test_trouble(hello: bytes) -> None:
    """While the accounts cannot be read, no reply says that the password is wrong.

    Postfix and Exim pass over `temp`. They answer 454 and 435 only if the connection ends.
    """
    with door() as opened:
        opened.accounts.error = UnavailableError("the database is away")
        peer = opened.connect(hello)
        reply = peer.say(auth(initial=b"\0ann\0secret"))
        assert peer.closed == (hello == POSTFIX)
        text = b"reason=Logins cannot be checked now, try again later.\n"
        assert reply == (b"" if hello == POSTFIX else b"FAIL\t1\tuser=ann\ttemp\t" + text)
        assert opened.failures() == 0
        assert 'event=trouble address=192.0.2.1 user=ann error="the database is away"' in opened.log


def test_incident() -> None:
    """An unforeseen error is logged under a number, and the user may try again."""
    with door() as opened:
        opened.accounts.error = RuntimeError("unforeseen")
        reply = opened.connect().say(auth(initial=b"\0ann\0secret"))
        assert reply.startswith(b"FAIL\t1\tuser=ann\ttemp\treason=Internal error (incident ")
        assert "event=incident" in opened.log
        assert b"unforeseen" not in reply


@pytest.mark.parametrize(
    ("clear_text", "address", "accepted"),
    [
        ("loopback", "127.0.0.1", True),
        ("loopback", "::1", True),
        ("loopback", ADDRESS, False),
        ("loopback", "", False),
        ("loopback", "nonsense", False),
        ("always", ADDRESS, True),
        ("never", "127.0.0.1", False),
    ],
)
def test_clear_text(clear_text: ClearText, address: str, accepted: bool) -> None:
    """Without TLS, login.clear_text decides by the user's address; without one, it is refused."""
    with door(clear_text) as opened:
        more = f"\trip={address}" if address else ""
        reply = opened.connect().say(auth(initial=b"\0ann\0secret", more=more))
        if accepted:
            assert reply == b"OK\t1\tuser=ann\n"
        else:
            assert reply == b"FAIL\t1\treason=No logins in clear text here: use TLS.\n"
            assert "event=login_refused" in opened.log


def test_mapped_address() -> None:
    """An IPv4 address in the form of IPv6 counts as the IPv4 address."""
    with door() as opened:
        peer = opened.connect()
        peer.say(auth(initial=b"\0ann\0wrong", more=f"\trip=::ffff:{ADDRESS}\tsecured"))
        assert opened.failures() == 1


def test_account_requires_tls() -> None:
    """An account with tls=required is rejected without TLS, and the log has its name."""
    with door("always") as opened:
        opened.accounts.tls_required.add("ann")
        peer = opened.connect()
        reply = peer.say(auth(initial=b"\0ann\0secret", more=f"\trip={ADDRESS}"))
        assert reply == b"FAIL\t1\tuser=ann\treason=No logins in clear text here: use TLS.\n"
        assert f"event=login_refused address={ADDRESS} user=ann" in opened.log
        assert peer.say(auth(initial=b"\0ann\0secret", number=2)) == b"OK\t2\tuser=ann\n"


def test_logins_at_once() -> None:
    """Several logins of one connection go on side by side."""
    with door() as opened:
        opened.accounts.known["bob"] = "pencil"
        peer = opened.connect()
        peer.say(auth("LOGIN", number=1))
        peer.say(auth("LOGIN", number=2))
        peer.say(cont(b"bob", 2))
        peer.say(cont(b"ann", 1))
        assert peer.say(cont(b"pencil", 2)) == b"OK\t2\tuser=bob\n"
        assert peer.say(cont(b"secret", 1)) == b"OK\t1\tuser=ann\n"


def test_unknown_login() -> None:
    """A response to a login that is over gets a reply, and the connection goes on."""
    with door() as opened:
        peer = opened.connect()
        assert peer.say(cont(b"", 7)).startswith(b"FAIL\t7\treason=")
        assert peer.say(b"CANCEL\t7\n") == b""
        assert peer.say(auth(initial=b"\0ann\0secret")) == b"OK\t1\tuser=ann\n"


def test_forgotten_logins() -> None:
    """Postfix forgets logins that its clients cancel: the oldest one ends for a new one."""
    with door() as opened:
        peer = opened.connect()
        for number in range(MAX_LOGINS + 3):
            assert peer.say(auth("LOGIN", number=number)).startswith(b"CONT\t%d\t" % number)
        for number in range(3):
            assert peer.say(cont(b"ann", number)).startswith(b"FAIL\t%d\t" % number)
        assert peer.say(cont(b"ann", 3)).startswith(b"CONT\t3\t")


def test_too_many_checks() -> None:
    """More checks at once than the limit end the connection, and each is cancelled."""
    with door() as opened:
        opened.accounts.gate = asyncio.Event()
        peer = opened.connect()
        for number in range(MAX_LOGINS + 1):
            peer.say(auth(initial=b"\0ann%d\0secret" % number, number=number))
        assert peer.closed
        assert "more than 32 logins at once" in opened.log
        assert len(opened.sharing.connections) == 0


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"VERSION\t2\t0\n", "version 2 of the protocol"),
        (auth(), "a login before VERSION"),
        (HELLO + auth("LOGIN") + auth("LOGIN"), "AUTH with the number of another login"),
        (HELLO + b"AUTH\t1\n", "AUTH with 1 fields"),
        (HELLO + b"x" * 20_000, "a line of more than 16384 octets"),
    ],
)
def test_broken_protocol(said: bytes, problem: str) -> None:
    """A client that does not speak the protocol is closed, and the log says why."""
    with door() as opened:
        peer = opened.connect(b"")
        peer.say(said)
        assert peer.closed
        assert f'event=auth_socket_failed problem="{problem}"' in opened.log
        assert len(opened.sharing.connections) == 0


def test_program_that_does_not_read() -> None:
    """A program that is hung up on, and does not read, is disconnected a little later."""
    with door() as opened:
        peer = opened.connect()
        peer.unsent = 100
        peer.say(b"AUTH\n")
        assert (peer.closed, peer.aborted) == (True, False)
        opened.server.loop.advance(LINGER)
        assert peer.aborted


def test_unasked_response() -> None:
    """A response that nothing asked for ends its own login, and no other one of the connection."""
    with door() as opened:
        opened.accounts.gate = asyncio.Event()
        peer = opened.connect()
        peer.say(auth(initial=b"\0ann\0secret"))
        peer.say(auth(initial=b"\0ann\0secret", number=2))
        assert peer.say(cont(b"")) == b"FAIL\t1\tuser=ann\treason=No response was expected.\n"
        assert 'event=auth_socket_failed problem="CONT without a challenge"' in opened.log
        opened.accounts.gate.set()
        opened.server.loop.turn()
        assert peer.heard.endswith(b"OK\t2\tuser=ann\n")
        assert b"OK\t1" not in peer.heard
        assert peer.say(auth(initial=b"\0ann\0secret")) == b"OK\t1\tuser=ann\n"


def test_time_limits() -> None:
    """A client must begin within timeouts.login, and a user must answer within it."""
    with door(settings=ProtocolSettings(login_timeout=60)) as opened:
        silent, peer = opened.connect(b""), opened.connect()
        peer.say(auth("LOGIN"))
        opened.server.loop.advance(61, step=10)
        assert silent.closed
        assert peer.heard.endswith(b"FAIL\t1\treason=The login took too long, or was cancelled.\n")
        opened.server.loop.advance(100_000, step=10_000)
        assert not peer.closed, "a process of Postfix keeps its connection"


def test_whole_time_limit() -> None:
    """A login as a whole has timeouts.before_login."""
    with door(settings=ProtocolSettings(authorization_timeout=90)) as opened:
        peer = opened.connect()
        peer.say(auth("LOGIN"))
        opened.server.loop.advance(50, step=10)
        peer.say(cont(b"ann"))
        opened.server.loop.advance(50, step=10)
        assert peer.heard.endswith(b"FAIL\t1\treason=The login took too long, or was cancelled.\n")


def test_accounts_that_hang() -> None:
    """A login for which the accounts give no answer may succeed later, and the log has the cause.

    The user would read that the password is wrong.
    """
    with door(settings=ProtocolSettings(authorization_timeout=90)) as opened:
        opened.accounts.gate = opened.server.loop.do(asyncio.Event)
        peer = opened.connect()
        peer.say(auth("LOGIN"))
        peer.say(cont(b"ann"))
        peer.say(cont(b"secret"))
        opened.server.loop.advance(91, step=10)
        reply = b"reason=Logins cannot be checked now, try again later.\n"
        assert peer.heard.endswith(b"FAIL\t1\tuser=ann\ttemp\t" + reply)
        line = f"event=trouble address={ADDRESS} user=ann error="
        assert line + '"the accounts gave no answer within 90 seconds" code=SYS/TEMP' in opened.log


def test_crowded() -> None:
    """A connection over the limit is closed, and the log says what to do."""
    with door(most=1) as opened:
        first = opened.connect()
        second = Peer(opened.server.loop, functools.partial(make_protocol, opened.sharing), "")
        assert (second.heard, second.closed) == (b"", True)
        assert "limit=auth_socket.connections" in opened.log
        assert first.say(auth(initial=b"\0ann\0secret")) == b"OK\t1\tuser=ann\n"
        first.abort()
        opened.server.loop.turn()
        opened.connect()


class LeavingPeer(Peer):
    """A program that is gone after the next reply. As with uvloop, no more can be written then."""

    gone = False

    def write(self, data: Any) -> None:
        if self.closed:
            raise RuntimeError("the handler is closed")
        super().write(data)
        if self.gone:
            self.abort()


@pytest.mark.parametrize(
    "said", ["CONT\t9\tYQ==\n" * 2, "AUTH\t1\tLOGIN\tsecured\nAUTH\t2\tLOGIN\tsecured\n"]
)
def test_program_that_leaves(said: str) -> None:
    """Replies to a program that has hung up are discarded, with each event loop."""
    with door() as made:
        connect = functools.partial(make_protocol, made.sharing)
        peer = LeavingPeer(made.server.loop, connect, "")
        peer.say(HELLO)
        peer.gone = True
        peer.say(said.encode())
        assert not made.sharing.connections
        assert "incident" not in made.log


def test_stop() -> None:
    """When the server stops, idle connections end, and logins under way are answered first."""
    with door() as opened:
        gate = opened.accounts.gate = opened.server.loop.do(asyncio.Event)
        idle, busy = opened.connect(), opened.connect()
        busy.say(auth(initial=b"\0ann\0secret"))
        stopping = opened.server.loop.create_task(opened.sharing.connections.stop(60))
        opened.server.loop.turn()
        assert (idle.closed, busy.closed) == (True, False)
        opened.server.loop.do(gate.set)
        assert busy.heard.endswith(b"OK\t1\tuser=ann\n")
        assert busy.closed
        assert stopping.done()


def test_burst() -> None:
    """A client that sends many logins at once and reads nothing is not read from."""
    with door() as opened:
        peer = opened.connect()
        peer.fill(1)
        peer.say(b"".join(auth("NTLM", number=number) for number in range(1000)))
        opened.server.loop.turn()
        assert peer.heard.count(b"FAIL") <= 1
        assert not peer.reading
