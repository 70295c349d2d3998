"""XCLIENT over sockets: the client that a proxy names is the one for limits, accounts and log."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest

from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from restante.server.connection.proxy_protocol import UNKNOWN
from restante.server.connection.transport import ClientTransport, ListenerPolicy
from restante.server.limits.server_limits import ServerLimits
from support.live import Client, Live, serving
from support.passwords import Passwords

PROXY, ELSEWHERE = "127.0.0.0/8", "192.0.2.0/24"
GREETING = b"+OK [XCLIENT] POP3 server ready.\r\n"
FULL = b"-ERR [SYS/TEMP] Too many connections, try again later.\r\n"


def policy(proxy: str = PROXY, header: str = "") -> ListenerPolicy:
    return ListenerPolicy(
        proxies=(ip_network(header),) if header else (), xclient_proxies=(ip_network(proxy),)
    )


def named(live: Live, address: str) -> Client:
    """Connect as a proxy, and name the client."""
    client = live.connect()
    assert client.read_line() == GREETING
    assert client.say(f"XCLIENT ADDR={address} PORT=4711 SESSION=x TTL=6") == b"+OK\r\n"
    return client


def test_log() -> None:
    """All events have the client's address. The proxy on this machine needs no TLS for it."""
    with serving(endpoint=policy()) as live:
        live.add("ann", "secret")
        with named(live, "203.0.113.7") as client:
            assert client.say("USER ann") == b"+OK\r\n"
            assert client.say("PASS secret") == b"+OK Logged in.\r\n"
            (connection,) = live.context.connections
            assert connection.describe().address == "203.0.113.7"
            client.say("QUIT")
        live.wait_for_log(
            "event=login address=203.0.113.7 user=ann", "event=session address=203.0.113.7 "
        )


def test_others() -> None:
    """To a client from another network the command is unknown, and not announced."""
    with serving(endpoint=policy(ELSEWHERE)) as live, live.connect() as client:
        assert client.read_line() == b"+OK POP3 server ready.\r\n"
        assert client.say("XCLIENT ADDR=203.0.113.7") == b"-ERR Unknown command.\r\n"
        client.say("QUIT")
        live.wait_for_log("event=session address=127.0.0.1 ")


def test_connections_of_an_address() -> None:
    """Connections count by the client's address from XCLIENT on, and those of the proxy do not."""
    limits = ServerLimits.create(connections_per_address=2, count_loopback=True)
    with serving(endpoint=policy(), limits=limits) as live:
        with named(live, "203.0.113.7"), named(live, "203.0.113.7"), named(live, "203.0.113.8"):
            with live.connect() as client:
                assert client.read_line() == GREETING
                assert client.say("XCLIENT ADDR=203.0.113.7") == FULL
                assert client.read_all() == b""
            assert limits.addresses.limit.count("203.0.113.7") == 2
            assert limits.addresses.limit.count("127.0.0.1") == 0
        full = 'end="too many connections from the address"'
        live.wait_for_log("event=session address=203.0.113.7 ", full, "event=limit_reached ")
    assert limits.addresses.limit.count("203.0.113.7") == 0


def test_wrong_password() -> None:
    """A wrong password delays the client that sent it, and no other client of the proxy."""
    with serving(endpoint=policy()) as live:
        live.add("ann", "secret")
        with named(live, "203.0.113.7") as client:
            client.say("USER ann")
            assert client.say("PASS wrong").startswith(b"-ERR [AUTH] ")
        throttle = live.context.limits.throttle
        assert throttle.has_recent_failures("203.0.113.7", "ann")
        assert not throttle.has_recent_failures("203.0.113.8", "ann")
        live.wait_for_log("event=login_failed address=203.0.113.7 user=ann ")


class Restricted(Passwords):
    """An account that may log in from one network."""

    async def verify(self, user: str, password: Secret) -> Identity:
        return Identity(user, networks=("203.0.113.0/25",))


@pytest.mark.parametrize(("address", "admitted"), [("203.0.113.7", True), ("203.0.113.200", False)])
def test_allow_nets(address: str, *, admitted: bool) -> None:
    """The networks of an account are compared with the client's address."""
    with serving(endpoint=policy(), authenticator=Restricted()) as live:
        with named(live, address) as client:
            client.say("USER ann")
            assert client.say("PASS secret").startswith(b"+OK" if admitted else b"-ERR [AUTH] ")


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("0.0.0.0", UNKNOWN),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_forms(address: str, counted: str) -> None:
    """An address has one form, as after a PROXY header."""
    with serving(endpoint=policy()) as live:
        with named(live, address) as client:
            client.say("QUIT")
        live.wait_for_log(f"event=session address={counted} ")


def test_loopback_of_another_machine() -> None:
    """The loopback of a proxy elsewhere is not this machine."""
    proxy = asyncio.Transport({"peername": ("192.0.2.1", 4711)})
    wire = ClientTransport(proxy, policy(ELSEWHERE))
    assert wire.names_client
    wire.name_client("127.0.0.1")
    assert wire.address == UNKNOWN


@pytest.mark.parametrize(
    ("proxy", "address", "trusted"),
    [
        (ELSEWHERE, "192.0.2.1", True),  # HAProxy before it names Dovecot
        (ELSEWHERE, "203.0.113.7", False),
        (PROXY, "203.0.113.7", False),  # not Dovecot, but HAProxy on the same machine
    ],
)
def test_after_a_proxy_header(proxy: str, address: str, *, trusted: bool) -> None:
    """With a PROXY header, its address must be that of a trusted proxy."""
    with serving(endpoint=policy(proxy, header=PROXY)) as live, live.connect() as client:
        client.send(f"PROXY TCP4 {address} 127.0.0.1 4711 110\r\n".encode())
        assert client.read_line() == (GREETING if trusted else b"+OK POP3 server ready.\r\n")
        said = client.say("XCLIENT ADDR=198.51.100.9")
        assert said == (b"+OK\r\n" if trusted else b"-ERR Unknown command.\r\n")
        client.say("QUIT")
        live.wait_for_log(f"event=session address={'198.51.100.9' if trusted else address} ")


def test_unknown_after_a_proxy_header() -> None:
    """A client without an address is not trusted, whatever the list has."""
    with serving(endpoint=policy("0.0.0.0/0", header=PROXY)) as live, live.connect() as client:
        client.send(b"PROXY UNKNOWN\r\n")
        assert client.read_line() == b"+OK POP3 server ready.\r\n"


def test_clear_text() -> None:
    """A proxy on another machine needs TLS."""
    proxy = asyncio.Transport({"peername": ("192.0.2.1", 4711)})
    assert not ClientTransport(proxy, policy(ELSEWHERE)).channel().clear_text
