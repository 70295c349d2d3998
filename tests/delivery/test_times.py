"""Time bounds of delivery, on a clock that the tests move."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import structlog

from delivery.door import Delivered, Known
from restante.delivery.connection import MESSAGE_TIME, DeliveryConnection
from restante.delivery.deliverer import Deliverer
from restante.delivery.protocol.session import Dialect
from restante.delivery.sessions import DeliverySessions
from restante.server.config.mail_sections import DeliverySection
from restante.server.limits.client_bounds import LINGER
from support.clocked_server import Loop, Peer

PATIENCE = 300.0  # seconds
IDLE = b"421 4.4.2 nothing came for too long\r\n"
SLOW = b"421 4.4.2 no whole message came within an hour\r\n"
GOODBYE = b"421 4.3.2 the server is stopping, come back later\r\n"


class Held(Delivered):
    """A store whose deliveries wait until a test lets them go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        self.first = lambda *_: self.go_on.wait()


@dataclass
class Site:
    """Sessions without sockets."""

    loop: Loop
    sessions: DeliverySessions
    store: Held

    def connect(self) -> Peer:
        connect = functools.partial(DeliveryConnection, self.sessions, Dialect.LMTP)
        return Peer(self.loop, connect, "")

    def begin(self) -> Peer:
        """Return a client that has said all that comes before DATA."""
        peer = self.connect()
        peer.say(b"LHLO me\r\nMAIL FROM:<>\r\n")
        assert peer.say(b"RCPT TO:<ann@example.com>\r\n") == b"250 2.1.5 OK\r\n"
        return peer


@pytest.fixture
def site() -> Iterator[Site]:
    loop = Loop()
    with contextlib.closing(loop):
        yield loop.do(make, loop)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.turn()


def make(loop: Loop) -> Site:
    store = Held()
    deliverer = Deliverer(
        store=store, recipients=Known("ann@example.com"), log=structlog.get_logger()
    )
    sessions = DeliverySessions(
        deliverer=deliverer,
        settings=DeliverySection(message_size=100_000, connections=3),
        host="mx",
        patience=PATIENCE,
    )
    return Site(loop, sessions, store)


@pytest.mark.parametrize("begun", [b"", b"LHLO me\r\n", b"FOO\r\n"])
def test_silence(site: Site, begun: bytes) -> None:
    """A client has five minutes for each command: RFC 5321 section 4.5.3.2.7."""
    peer = site.connect()
    peer.say(begun)
    site.loop.advance(PATIENCE - 1)
    assert not peer.heard.endswith(IDLE)
    site.loop.advance(2)
    assert peer.heard.endswith(IDLE)
    site.loop.advance(LINGER + 1)
    assert peer.closed
    assert not len(site.sessions.connections)


def test_silence_in_message(site: Site) -> None:
    """A message that stops coming is not waited for, and not delivered."""
    peer = site.begin()
    peer.say(b"DATA\r\nhello\r\n")
    site.loop.advance(PATIENCE - 1)
    peer.say(b"more\r\n")
    site.loop.advance(PATIENCE - 1)
    assert not peer.heard.endswith(IDLE)
    site.loop.advance(2)
    assert peer.heard.endswith(IDLE)
    assert site.store.came == []


def test_dripping_command(site: Site) -> None:
    """A command that comes octet by octet has no more time than another one."""
    peer = site.connect()
    for _ in range(30):
        peer.say(b"x")
        site.loop.advance(PATIENCE / 29)
    assert peer.heard.endswith(IDLE)


WAYS_TO_STAY: dict[str, Callable[[int], bytes]] = {
    "commands": lambda _: b"NOOP\r\n",
    "transactions": lambda _: b"MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nRSET\r\n",
    "unknown recipients": lambda _: b"RCPT TO:<nobody@example.com>\r\n",
    "a message": lambda step: b"x\r\n" if step else b"DATA\r\n",
    "a message in one line": lambda step: b"x" if step else b"DATA\r\n",
    "a message that is too big": lambda step: b"x" * 10_000 if step else b"DATA\r\n",
}


@pytest.mark.parametrize("way", WAYS_TO_STAY)
def test_no_whole_message(site: Site, way: str) -> None:
    """Whatever a client sends, it has an hour for a whole message, also when it drips."""
    peer = site.begin() if "message" in way else site.connect()
    if "message" not in way:
        peer.say(b"LHLO me\r\nMAIL FROM:<>\r\n")
    begun, step = site.loop.now, 0
    while not peer.closed and site.loop.now - begun < 2 * MESSAGE_TIME:
        peer.say(WAYS_TO_STAY[way](step))
        site.loop.advance(100, step=10)
        step += 1
    assert site.loop.now - begun <= MESSAGE_TIME + 200
    assert peer.heard.endswith(SLOW)
    assert site.sessions.memory.left == 400_000


def test_message_after_message(site: Site) -> None:
    """A client that brings a message now and then may stay for ever."""
    site.store.go_on.set()
    peer = site.connect()
    peer.say(b"LHLO me\r\n")
    for _ in range(40):
        peer.say(b"MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n")
        site.loop.advance(PATIENCE - 1, step=100)
        assert peer.say(b"hello\r\n.\r\n") == b"250 2.0.0 delivered\r\n"
    assert not peer.closed


def test_long_delivery(site: Site) -> None:
    """A client waits for its delivery as long as that takes; nothing is acknowledged before."""
    peer = site.begin()
    assert peer.say(b"DATA\r\nhello\r\n.\r\n").endswith(b"<CR><LF>.<CR><LF>\r\n")
    site.loop.advance(PATIENCE - 1, step=10)
    before = peer.heard
    site.store.go_on.set()
    site.loop.advance(1)
    assert peer.heard == before + b"250 2.0.0 delivered\r\n"
    assert site.sessions.memory.left == 400_000


def test_client_that_reads_nothing(site: Site) -> None:
    """A client that does not read its replies is not waited for."""
    peer = site.connect()
    peer.fill(100_000)
    peer.say(b"LHLO me\r\n")
    site.loop.advance(PATIENCE + 1, step=10)
    assert peer.aborted


def test_last_reply_that_nobody_reads(site: Site) -> None:
    """A client that does not read the reply to QUIT is not waited for."""
    site.store.go_on.set()
    peer = site.begin()
    peer.unsent = 1000
    peer.say(b"DATA\r\nhello\r\n.\r\nQUIT\r\n")
    site.loop.turn()
    assert peer.heard.endswith(b"221 2.0.0 Bye\r\n")
    site.loop.advance(PATIENCE + 1, step=10)
    assert peer.aborted
    assert not len(site.sessions.connections)


def test_stop_during_delivery(site: Site) -> None:
    """A stop lets a delivery end and be answered; other clients hear goodbye at once."""
    busy, idle = site.begin(), site.connect()
    busy.say(b"DATA\r\nhello\r\n.\r\n")
    stopping = site.loop.do(site.loop.create_task, site.sessions.connections.stop(60))
    site.loop.turn()
    assert idle.heard.endswith(GOODBYE)
    assert idle.closed
    late = site.connect()
    assert late.heard == GOODBYE
    site.store.go_on.set()
    site.loop.advance(1)
    assert busy.heard.endswith(b"250 2.0.0 delivered\r\n" + GOODBYE)
    assert stopping.done()


def test_connections(site: Site) -> None:
    """One connection too many is turned away, and leaves room at once."""
    peers = [site.connect() for _ in range(3)]
    late = site.connect()
    assert late.heard == b"421 4.3.2 too many connections, come back later\r\n"
    site.loop.turn()
    assert len(site.sessions.connections) == 3
    peers[0].say(b"QUIT\r\n")
    assert site.connect().heard.startswith(b"220 ")


def test_unread_octets(site: Site) -> None:
    """The server reads no more from a client that sends commands during its delivery."""
    peer = site.begin()
    peer.say(b"DATA\r\nhello\r\n.\r\n")
    readings = [peer.reading]
    peer.say(b"NOOP\r\n" * 12_000)
    readings.append(peer.reading)
    site.store.go_on.set()
    site.loop.turn()
    readings.append(peer.reading)
    assert readings == [True, False, True]
    assert peer.heard.count(b"250 2.0.0 OK\r\n") == 12_000


class TickingLoop(Loop):
    """A loop on which each look at the clock costs a millisecond."""

    def time(self) -> float:
        self.now += 0.001
        return self.now


def test_time_slice() -> None:
    """The commands of one client let other clients have their turn."""
    with contextlib.closing(TickingLoop()) as loop:
        peer = loop.do(make, loop).connect()

        def send() -> int:
            peer.connection.data_received(b"NOOP\r\n" * 100)
            return peer.heard.count(b"250 2.0.0 OK\r\n")

        assert 1 <= loop.do(send) <= 12
        loop.turn()
        assert peer.heard.count(b"250 2.0.0 OK\r\n") == 100
