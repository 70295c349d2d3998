"""XCLIENT, by which a trusted proxy of Dovecot's names its client. To others it is unknown.

policy/xclient.
"""

from __future__ import annotations

from typing import Any

import pytest

from restante.protocol.server.needs import NameClient, Need
from restante.protocol.server.session import EndReason
from restante.protocol.server.settings import ConnectionSecurity, ProtocolSettings
from support.world import Talk, World

UNKNOWN = b"-ERR Unknown command.\r\n"
USAGE = b"-ERR Write it as: XCLIENT ADDR=address [name=value ...]\r\n"
TLS = ConnectionSecurity(can_start_tls=True)


class Proxy(Talk):
    """A session with a proxy; `named` are the addresses that it gave."""

    def __init__(self, channel: ConnectionSecurity | None = None, **settings: Any) -> None:
        self.named: list[str] = []
        world = World(crowded={"192.0.2.66"})
        world.add("ann", "secret", b"Subject: a\n\nhello\n")
        chosen = ProtocolSettings(**settings)
        super().__init__(world, chosen, self.note, channel=channel, names_client=True)
        self.greeting = self.send()

    def note(self, need: Need[Any]) -> None:
        if isinstance(need, NameClient):
            self.named.append(need.address)


def test_greeting() -> None:
    """Dovecot reads in the greeting, directly after +OK, whether it may send XCLIENT."""
    assert Proxy().greeting == b"+OK [XCLIENT] POP3 server ready.\r\n"
    assert Proxy(apop=True).greeting.startswith(b"+OK [XCLIENT] POP3 server ready. <")


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ("ADDR=192.0.2.7 PORT=4711 SESSION=Ab/+9c TTL=6", "192.0.2.7"),
        ("ADDR=2001:db8::7 PORT=4711 SESSION=x TTL=6 CLIENT-TRANSPORT=TLS", "2001:db8::7"),
        ("TTL=6 DESTADDR= DESTPORT=0 ADDR=192.0.2.7 FORWARD=YT1i==", "192.0.2.7"),
        ("addr=192.0.2.7", "192.0.2.7"),
        ("ADDR=192.0.2.7 FORWARD=" + "x" * 5000, "192.0.2.7"),
    ],
    ids=["2.3", "2.4", "any order", "lower case", "long"],
)
def test_fields(fields: str, address: str) -> None:
    """The address counts; the other fields of Dovecot have no effect, and may be long."""
    proxy = Proxy()
    said = proxy.send(f"XCLIENT {fields}\r\nUSER ann\r\nPASS secret\r\n".encode())
    assert said == b"+OK\r\n+OK\r\n+OK Logged in.\r\n"
    assert proxy.named == [address]


@pytest.mark.parametrize(
    "line",
    [
        b"XCLIENT", b"XCLIENT ", b"XCLIENT PORT=1", b"XCLIENT ADDR", b"XCLIENT ADDR=",
        b"XCLIENT ADDR=mail.example.com", b"XCLIENT ADDR=192.0.2", b"XCLIENT ADDR=192.0.2.07",
        b"XCLIENT ADDR=192.0.2.7 PORT", b"XCLIENT  ADDR=192.0.2.7", b"XCLIENT ADDR=\xff",
        b"XCLIENT ADDR=192.0.2.7 ADDR=192.0.2.8", b"XCLIENT ADDR=\xd9\xa1.2.3.4",
    ],
)  # fmt: skip
def test_malformed(line: bytes) -> None:
    """Fields that name no address, or two, name no client."""
    proxy = Proxy()
    assert proxy.send(line + b"\r\n") == USAGE
    assert proxy.named == []


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("before", [b"", b"USER ann\r\nPASS secret\r\n"])
def test_unknown_to_others(before: bytes, *, long: bool) -> None:
    """A client that is not such a proxy gets the replies to an unknown command, at any time."""
    said = []
    for verb in (b"XCLIENT", b"XXXXXXX"):
        world = World()
        world.add("ann", "secret")
        talk = Talk(world)
        assert talk.send(before).startswith(b"+OK POP3 server ready.\r\n")
        line = verb + b" ADDR=192.0.2.7" + b" X=y" * 60 * long + b"\r\n"
        said.append(talk.send(line * 30))
        assert talk.end is EndReason.BAD_COMMANDS
    assert said[0] == said[1]
    assert said[0].startswith(b"-ERR Line too long" if long else UNKNOWN)


def test_once() -> None:
    """The first address stays: a second XCLIENT is an unknown command."""
    proxy = Proxy()
    said = proxy.send(b"XCLIENT ADDR=192.0.2.7\r\nXCLIENT ADDR=192.0.2.8\r\n")
    assert said == b"+OK\r\n" + UNKNOWN
    assert proxy.named == ["192.0.2.7"]


def test_before_login_only() -> None:
    """After the login the user speaks, so XCLIENT is an unknown command."""
    proxy = Proxy()
    proxy.send(b"USER ann\r\nPASS secret\r\n")
    assert proxy.send(b"XCLIENT ADDR=192.0.2.7\r\n") == UNKNOWN
    assert proxy.named == []


def test_after_stls() -> None:
    """Dovecot starts TLS first, and the server does not greet again."""
    proxy = Proxy(TLS)
    assert proxy.send(b"STLS\r\n") == b"+OK Begin TLS now.\r\n"
    assert proxy.send(b"XCLIENT ADDR=192.0.2.7\r\n") == b"+OK\r\n"


def test_no_stls_after_it() -> None:
    """An address that came without TLS may be forged, so TLS does not begin after it."""
    proxy = Proxy(TLS)
    assert proxy.send(b"XCLIENT ADDR=192.0.2.7\r\n") == b"+OK\r\n"
    assert b"STLS" not in proxy.send(b"CAPA\r\n")
    assert proxy.send(b"STLS\r\n") == b"-ERR TLS is not available here.\r\n"


def test_too_many_connections() -> None:
    """A client whose address has too many connections is rejected before its password."""
    proxy = Proxy()
    said = proxy.send(b"XCLIENT ADDR=192.0.2.66\r\nUSER ann\r\n")
    assert said == b"-ERR [SYS/TEMP] Too many connections, try again later.\r\n"
    assert proxy.end is EndReason.FULL_ADDRESS


def test_not_in_capa() -> None:
    """CAPA is the same for a proxy and for a client."""
    client = Talk(World())
    client.send()
    assert Proxy().send(b"CAPA\r\n") == client.send(b"CAPA\r\n")
