"""The PROXY protocol, versions 1 and 2, only from networks that are trusted."""

from __future__ import annotations

import ipaddress
import struct

import pytest

from restante.server import proxy
from restante.server.proxy import SIGNATURE, ProxyError
from restante.server.wire import Endpoint
from support.live import serving

FROM_LOOPBACK = Endpoint(proxies=(ipaddress.ip_network("127.0.0.0/8"),))
FROM_ELSEWHERE = Endpoint(proxies=(ipaddress.ip_network("192.0.2.0/24"),))


def version_2(command: int, family: int, block: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(block)) + block


IPV4 = version_2(1, 0x11, ipaddress.ip_address("192.0.2.7").packed + b"\x7f\0\0\1\1\2\3\4")
IPV6 = version_2(
    1, 0x21, ipaddress.ip_address("2001:db8::7").packed + bytes(16) + b"\1\2\3\4" + b"more: a TLV"
)
GOOD = [
    (b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 110\r\n", "192.0.2.7"),
    (b"PROXY TCP6 2001:db8::7 ::1 4711 110\r\n", "2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN and whatever follows\r\n", None),
    (IPV4, "192.0.2.7"),
    (IPV6, "2001:db8::7"),
    (version_2(0, 0, b""), None),  # LOCAL: a health check
    (version_2(1, 0x31, bytes(216)), None),  # a Unix socket
]


@pytest.mark.parametrize(("header", "address"), GOOD)
def test_a_header_is_read_wherever_it_is_cut(header: bytes, address: str | None) -> None:
    for end in range(len(header)):
        assert proxy.split(header[:end]) is None
    assert proxy.split(header) == (address, b"")
    assert proxy.split(header + b"CAPA\r\n") == (address, b"CAPA\r\n")


@pytest.mark.parametrize(
    "octets",
    [
        b"CAPA\r\n",
        b"\x16\x03\x01",
        b"PROXY TCP4 nonsense 127.0.0.1 1 2\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY " + b"x" * 200,
        version_2(1, 0x11, b"short"),
        SIGNATURE + b"\x11\x11\0\0",
        version_2(2, 0x11, bytes(12)),
    ],
)
def test_what_is_no_header_is_refused(octets: bytes) -> None:
    with pytest.raises(ProxyError):
        proxy.split(octets)


@pytest.mark.parametrize("header", [header for header, address in GOOD if address])
def test_a_trusted_proxy_names_the_client_whose_address_counts(header: bytes) -> None:
    with serving(endpoint=FROM_LOOPBACK) as live:
        live.add("ann", "secret")
        with live.connect() as client:
            client.send(header)
            assert client.read_line() == b"+OK POP3 server ready.\r\n"
            # The client is no longer this machine, so its password may not come in clear: X13.
            assert client.say("USER ann").startswith(b"-ERR [AUTH] No logins in clear text")
            client.say("QUIT")
        live.wait_for_log(
            "address=192.0.2.7"
            if b"\xc0\0\2\7" in header or b"TCP4" in header
            else "address=2001:db8::7"
        )


def test_a_trusted_proxy_must_say_who_the_client_is() -> None:
    with serving(endpoint=FROM_LOOPBACK) as live, live.connect() as client:
        client.send(b"CAPA\r\n")
        assert client.read_all() == b""
        live.wait_for_log("event=connection_failed", 'end="no proxy header"')


def test_nobody_else_may_pretend_to_be_a_proxy() -> None:
    with serving(endpoint=FROM_ELSEWHERE) as live, live.connect() as client:
        client.read_line()
        said = client.say("PROXY TCP4 192.0.2.7 127.0.0.1 4711 110")
        assert said == b"-ERR Unknown command.\r\n"
