"""The sum of all steps before login is bounded, and no peer holds a connection for ever."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from ipaddress import ip_network

import pytest

from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity, ProtocolSettings
from restante.server.connection.transport import ListenerPolicy
from restante.storage.memory import MemoryMaildrop, MemoryStore
from support.clocked_server import Peer, clocked
from support.passwords import Passwords

SETTINGS = ProtocolSettings(login_timeout=60, authorization_timeout=180, refused_logins=1000)

WAYS_TO_STAY: dict[str, Callable[[int], bytes]] = {
    "CAPA": lambda _: b"CAPA\r\n",
    "USER": lambda _: b"USER ann\r\n",
    "LANG": lambda _: b"LANG de\r\n",
    "UTF8": lambda _: b"UTF8\r\n",
    "AUTH list": lambda _: b"AUTH\r\n",
    "AUTH cancelled": lambda step: b"*\r\n" if step % 2 else b"AUTH PLAIN\r\n",
    "AUTH LOGIN": lambda step: b"YW5u\r\n" if step % 2 else b"AUTH LOGIN\r\n",
    "AUTH garbage": lambda _: b"AUTH PLAIN " + base64.b64encode(b"x") + b"\r\n",
    "wrong password": lambda _: b"USER ann\r\nPASS wrong\r\n",
    "bad and good": lambda _: b"NOPE\r\nCAPA\r\n",
    "half line": lambda _: b"x",
    "pipelined": lambda _: b"CAPA\r\n" * 200,
    "STLS refused": lambda _: b"STLS\r\nCAPA\r\n",
}


@pytest.mark.parametrize("way", WAYS_TO_STAY)
def test_before_login(way: str) -> None:
    """Whatever a client says, it has three minutes until it has logged in."""
    with clocked(SETTINGS) as server:
        peer = server.connect()
        begun, step = server.loop.now, 0
        while not peer.closed and server.loop.now - begun < 1000:
            peer.say(WAYS_TO_STAY[way](step))
            server.loop.advance(5)
            step += 1
        assert server.loop.now - begun <= 185
        server.loop.advance(5)
        assert not server.context.connections
        assert server.ended() == ["timeout"]


@pytest.mark.parametrize("header", [b"", b"PROXY TCP4 "])
def test_before_proxy_header(header: bytes) -> None:
    """A header that does not come, or comes slowly, gets no more time than a command."""
    with clocked(SETTINGS) as server:
        peer = server.connect(_proxied())
        for octet in header:
            peer.say(bytes([octet]))
            server.loop.advance(10)
        server.loop.advance(60)
        assert peer.closed


def test_unread_replies() -> None:
    """A client that reads one octet now and then has no more time before login."""
    with clocked(SETTINGS) as server:
        peer = server.connect()
        peer.say(b"CAPA\r\n" * 1000)
        peer.fill(100_000)
        for _ in range(60):
            peer.unsent -= 1
            server.loop.advance(1)
        assert peer.aborted
        assert not server.context.connections


def test_slow_authenticator() -> None:
    """If accounts do not answer, a client gets an error at the end of its time; the log says so."""
    with clocked(SETTINGS, authenticator=Silent()) as server:
        peer = server.connect()
        peer.say(b"USER ann\r\nPASS secret\r\n")
        server.loop.advance(185)
        assert peer.heard.endswith(
            b"-ERR [SYS/TEMP] The server does not answer in time, try again later.\r\n"
        )
        assert not server.context.connections
        log = server.log.getvalue()
        assert log.count("event=trouble ") == 1
        assert 'user=ann error="the login was not checked' in log


def test_stuck_store() -> None:
    """A mail store that does not answer holds no session for ever."""
    with clocked(SETTINGS, store=StuckStore()) as server:
        peer = server.connect()
        peer.say(b"USER ann\r\nPASS secret\r\n")
        server.loop.advance(605, 5)
        assert peer.heard.endswith(
            b"-ERR [SYS/TEMP] The server does not answer in time, try again later.\r\n"
        )
        assert not server.context.connections


def test_login_ends_the_first_time() -> None:
    """After login the time before it is of no account, and NOOP for ever is legal."""
    with clocked(SETTINGS) as server:
        peer = server.connect()
        _log_in(peer)
        for _ in range(20):
            server.loop.advance(500, 100)
            assert peer.say(b"NOOP\r\n") == b"+OK\r\n"


@pytest.mark.parametrize(("octets_a_second", "stays"), [(0, False), (1, False), (100, True)])
def test_slow_reader(octets_a_second: int, stays: bool) -> None:
    """After login a client that takes fewer than 80 octets a second of a reply is given up."""
    store = MemoryStore()
    asyncio.run(store.deliver("ann", b"Subject: a\n\n" + b"x" * 10_000_000))
    with clocked(SETTINGS, write_timeout=600, store=store) as server:
        peer = server.connect()
        _log_in(peer)
        peer.say(b"RETR 1\r\n")
        peer.fill(10_000_000)
        for _ in range(200):
            peer.unsent -= octets_a_second * 10
            server.loop.advance(10, 10)
        assert peer.aborted is not stays


def _proxied() -> ListenerPolicy:
    return ListenerPolicy(proxies=(ip_network("192.0.2.0/24"),))


def _log_in(peer: Peer) -> None:
    assert peer.say(b"USER ann\r\nPASS secret\r\n").endswith(b"+OK Logged in.\r\n")


class Silent(Passwords):
    """Accounts that never answer."""

    async def verify(self, user: str, password: Secret) -> Identity:
        await asyncio.Event().wait()
        raise AssertionError


class StuckStore(MemoryStore):
    """A store that never answers."""

    async def acquire(self, owner: str, patience: float) -> MemoryMaildrop:
        await asyncio.Event().wait()
        raise AssertionError
