"""The PROXY protocol, versions 1 and 2, only from networks that are trusted."""

from __future__ import annotations

import asyncio
import ipaddress
import struct

import pytest

from restante.server.connection.proxy_protocol import (
    SIGNATURE,
    UNKNOWN,
    ProxiedTls,
    ProxyError,
    read_header,
)
from restante.server.connection.transport import ClientTransport, ListenerPolicy
from restante.server.limits.counters import AddressLimit
from restante.server.limits.throttle import Throttle
from support.clocked_server import clocked
from support.live import serving

FROM_LOOPBACK = ListenerPolicy(proxies=(ipaddress.ip_network("127.0.0.0/8"),))
FROM_ELSEWHERE = ListenerPolicy(proxies=(ipaddress.ip_network("192.0.2.0/24"),))


def version_2(command: int, family: int, block: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(block)) + block


def ends(first: str, second: str = "127.0.0.1") -> bytes:
    """Return an address block: both addresses, then both ports."""
    return b"".join(ipaddress.ip_address(text).packed for text in (first, second)) + b"\1\2\3\4"


def field(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def tls_field(bits: int, verified: int, *fields: bytes) -> bytes:
    return field(0x20, struct.pack("!BI", bits, verified) + b"".join(fields))


IPV4 = version_2(1, 0x11, ipaddress.ip_address("192.0.2.7").packed + b"\x7f\0\0\1\1\2\3\4")
IPV6 = version_2(
    1, 0x21, ipaddress.ip_address("2001:db8::7").packed + bytes(16) + b"\1\2\3\4" + b"more: a TLV"
)
GOOD = [
    (b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 110\r\n", "192.0.2.7"),
    (b"PROXY TCP6 2001:db8::7 ::1 4711 110\r\n", "2001:db8::7"),
    (b"PROXY TCP6 ::ffff:203.0.113.7 ::1 4711 110\r\n", "203.0.113.7"),
    (b"PROXY TCP6 ::FFFF:CB00:7107 ::1 0 65535\r\n", "203.0.113.7"),
    (b"PROXY TCP6 fe80::1%eth0 ::1 4711 110\r\n", "fe80::1"),
    (b"PROXY TCP4 0.0.0.0 127.0.0.1 4711 110\r\n", UNKNOWN),
    (b"PROXY TCP6 ::ffff:0.0.0.0 ::1 4711 110\r\n", UNKNOWN),
    (b"PROXY UNKNOWN\r\n", UNKNOWN),
    (b"PROXY UNKNOWN and whatever follows\r\n", UNKNOWN),
    (b"PROXY UNKNOWN 127.0.0.1 127.0.0.1 4711 110\r\n", UNKNOWN),
    (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", UNKNOWN),  # 107 octets
    (IPV4, "192.0.2.7"),
    (IPV6, "2001:db8::7"),
    (version_2(1, 0x12, ends("192.0.2.7")), "192.0.2.7"),  # DGRAM
    (version_2(1, 0x21, ends("::ffff:203.0.113.7", "::1")), "203.0.113.7"),
    (version_2(1, 0x22, ends("2001:db8::7", "::1")), "2001:db8::7"),
    (version_2(1, 0x11, ends("0.0.0.0")), UNKNOWN),
    (version_2(1, 0x10, ends("192.0.2.7")), UNKNOWN),  # an unknown transport
    (version_2(1, 0x20, ends("2001:db8::7", "::1")), UNKNOWN),
    (version_2(1, 0x00, b""), UNKNOWN),
    (version_2(1, 0x00, b"whatever"), UNKNOWN),
    (version_2(1, 0x31, bytes(216)), UNKNOWN),  # a Unix socket
    (version_2(1, 0x32, bytes(216) + field(4, b"noop")), UNKNOWN),
    (version_2(0, 0, b""), None),  # LOCAL: a health check
    (version_2(0, 0x11, ends("192.0.2.7")), None),
    (version_2(0, 0xFF, b"whatever"), None),
]


@pytest.mark.parametrize(("header", "address"), GOOD)
def test_a_header_is_read_wherever_it_is_cut(header: bytes, address: str | None) -> None:
    """Every form of the header gives the client's address, however it arrives."""
    for end in range(len(header)):
        assert read_header(header[:end]) is None
    for more in (b"", b"CAPA\r\n"):
        found = read_header(header + more)
        assert found is not None
        assert (found.address, found.rest, found.tls) == (address, more, None)


@pytest.mark.parametrize(
    "octets",
    [
        b"CAPA\r\n",
        b"\x16\x03\x01",
        b"PROXY TCP4 nonsense 127.0.0.1 1 2\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.7 ::1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7%eth0 127.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 nonsense 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 127.0.0.1 1\r\n",
        b"PROXY TCP4 192.0.2.7 127.0.0.1 1 65536\r\n",
        b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2 3\r\n",
        b"PROXY TCP4 192.0.2.7  127.0.0.1 1 2\r\n",
        b"PROXY UDP4 192.0.2.7 127.0.0.1 1 2\r\n",
        b"PROXY " + b"x" * 200,
        b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",  # 108 octets
        version_2(1, 0x11, b"short"),
        version_2(1, 0x11, ends("192.0.2.7")[:-1]),
        version_2(1, 0x21, ends("192.0.2.7")),
        version_2(1, 0x31, bytes(215)),
        version_2(1, 0x41, bytes(216)),
        version_2(1, 0x13, ends("192.0.2.7")),
        SIGNATURE + b"\x11\x11\0\0",
        version_2(2, 0x11, bytes(12)),
    ],
)
def test_what_is_no_header_is_refused(octets: bytes) -> None:
    """A header that is too long, too short or of no known form is an error."""
    with pytest.raises(ProxyError):
        read_header(octets)


VERSION = field(0x21, b"TLSv1.3")
CIPHER = field(0x23, b"TLS_AES_256_GCM_SHA384")
NAME = field(0x22, b"ann@example.com")
LONG_NAME = field(0x22, b"\xff" * 300)
SHOWN = "TLSv1.3 TLS_AES_256_GCM_SHA384"


@pytest.mark.parametrize(
    ("fields", "tls"),
    [
        (tls_field(1, 1, VERSION, CIPHER), ProxiedTls(SHOWN)),
        (field(4, b"noop") + tls_field(1, 1, VERSION), ProxiedTls("TLSv1.3")),
        (tls_field(1, 1), ProxiedTls("TLS")),
        (tls_field(3, 0, VERSION, CIPHER, NAME), ProxiedTls(SHOWN, "ann@example.com", True)),
        (tls_field(5, 0, VERSION, CIPHER, NAME), ProxiedTls(SHOWN, "ann@example.com", True)),
        (tls_field(3, 18, VERSION, CIPHER, NAME), ProxiedTls(SHOWN, "ann@example.com", False)),
        (tls_field(1, 0, VERSION, CIPHER, NAME), ProxiedTls(SHOWN)),  # it showed none
        (tls_field(7, 0, VERSION, LONG_NAME), ProxiedTls("TLSv1.3", "\ufffd" * 255, True)),
        (tls_field(0, 0, VERSION), None),  # in clear
        (tls_field(2, 0, VERSION), None),
        (field(0x20, b""), None),
        (field(0x20, b"\1\0\0\0"), None),  # too short
        (tls_field(1, 1, VERSION[:-1]), None),  # a field that ends behind its parent
        (tls_field(1, 1, VERSION, b"\x23"), None),
        (tls_field(1, 1, VERSION)[:-1], None),
        (tls_field(1, 1, VERSION) + b"\4\0\5x", None),
        (tls_field(1, 1, VERSION) + b"\4", None),
    ],
)  # fmt: skip
def test_tls_at_the_proxy(fields: bytes, tls: ProxiedTls | None) -> None:
    """A broken field never counts as TLS, and the address stays the client's."""
    for family, block in ((0x11, ends("192.0.2.7")), (0x00, b""), (0x31, bytes(216))):
        found = read_header(version_2(1, family, block + fields))
        assert found is not None
        assert found.tls == tls
    assert read_header(version_2(0, 0, fields)).tls is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "header", [header for header, address in GOOD if address not in (None, UNKNOWN)]
)
def test_trusted_proxy_names_client(header: bytes) -> None:
    """The address in the header is the client's, for the policy and for the log."""
    found = read_header(header)
    assert found is not None
    with serving(endpoint=FROM_LOOPBACK) as live:
        live.add("ann", "secret")
        with live.connect() as client:
            client.send(header)
            assert client.read_line() == b"+OK POP3 server ready.\r\n"
            # The client is not this machine, so a cleartext password is rejected: policy/cleartext.
            assert client.say("USER ann").startswith(b"-ERR [AUTH] No logins in clear text")
            client.say("QUIT")
        live.wait_for_log(f"address={found.address} ")


@pytest.mark.parametrize("header", [header for header, address in GOOD if address == UNKNOWN])
def test_a_client_without_an_address_is_not_this_machine(header: bytes) -> None:
    """Clear text is refused to a client whose address the proxy does not know."""
    with serving(endpoint=FROM_LOOPBACK) as live:
        with live.connect() as client:
            client.send(header)
            client.read_line()
            assert client.say("USER ann").startswith(b"-ERR [AUTH] No logins in clear text")
            client.say("QUIT")
        live.wait_for_log("event=session", "address=unknown ")


@pytest.mark.parametrize("header", [header for header, address in GOOD if address is None])
def test_local_is_the_proxy_itself(header: bytes) -> None:
    """A proxy on this machine that speaks for itself may log in in clear."""
    with serving(endpoint=FROM_LOOPBACK) as live:
        live.add("ann", "secret")
        with live.connect() as client:
            client.send(header)
            client.log_in("ann", "secret")


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 110\r\n", "203.0.113.9"),
        (b"PROXY TCP4 127.0.0.1 192.0.2.1 4711 110\r\n", UNKNOWN),
        (version_2(0, 0x11, ends("127.0.0.1")), "192.0.2.1"),
    ],
)
def test_proxy_on_another_machine(header: bytes, address: str) -> None:
    """The loopback of a proxy elsewhere is not this machine: its clients need TLS."""
    proxy = asyncio.Transport({"peername": ("192.0.2.1", 4711)})
    wire = ClientTransport(proxy, FROM_ELSEWHERE)
    assert wire.receive(header + b"CAPA\r\n") == b"CAPA\r\n"
    assert wire.address == address
    assert not wire.channel().clear_text


def test_clients_without_address() -> None:
    """All clients without an address count as one."""
    addresses, throttle = AddressLimit(2), Throttle()
    assert [addresses.acquire(UNKNOWN) for _ in range(3)] == [True, True, False]
    throttle.note_failure(UNKNOWN, "ann")
    assert throttle.has_recent_failures(UNKNOWN, "ann")


def test_tls_at_the_proxy_counts_as_tls() -> None:
    """Passwords may be sent, STLS and EXTERNAL are not offered, and the log has the details."""
    told = tls_field(7, 0, VERSION, CIPHER, NAME)
    header = version_2(1, 0x11, ends("192.0.2.7") + told)
    with serving(endpoint=FROM_LOOPBACK) as live:
        live.add("ann", "secret")
        live.passwords.tls_required.add("ann")
        with live.connect() as client:
            client.send(header)
            client.read_line()
            client.say("CAPA")
            capabilities = client.read_lines()
            assert b"USER\r\n" in capabilities
            assert b"STLS\r\n" not in capabilities
            assert not any(b"EXTERNAL" in line or b"-PLUS" in line for line in capabilities)
            assert client.say("USER ann") == b"+OK\r\n"
            assert client.say("PASS secret") == b"+OK Logged in.\r\n"
            client.say("QUIT")
        live.wait_for_log(
            f'tls="{SHOWN}" certificate=ann@example.com certificate_verified=True ',
            "address=192.0.2.7 ",
        )


def test_a_trusted_proxy_must_say_who_the_client_is() -> None:
    """A trusted proxy that sends no header is disconnected."""
    with serving(endpoint=FROM_LOOPBACK) as live, live.connect() as client:
        client.send(b"CAPA\r\n")
        assert client.read_all() == b""
        live.wait_for_log("event=connection_failed", 'end="no proxy header"')


@pytest.mark.parametrize("octets", [b"", b"PROXY TCP4 192."])
def test_silent_proxy(octets: bytes) -> None:
    """A listed machine that waits for a greeting, such as Dovecot, ends without a PROXY header."""
    with clocked() as server:
        peers = [server.connect(FROM_ELSEWHERE, "192.0.2.1") for _ in range(2)]
        assert [peer.say(octets) for peer in peers] == [b""] * 2
        server.loop.do(peers[0].connection.eof_received)
        server.loop.skip()
        assert server.ended() == ["no proxy header"] * 2


def test_nobody_else_may_pretend_to_be_a_proxy() -> None:
    """A PROXY header from an untrusted network is an unknown command."""
    with serving(endpoint=FROM_ELSEWHERE) as live, live.connect() as client:
        client.read_line()
        said = client.say("PROXY TCP4 192.0.2.7 127.0.0.1 4711 110")
        assert said == b"-ERR Unknown command.\r\n"
