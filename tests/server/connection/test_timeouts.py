"""Time-outs: RFC 1939 section 3."""

from __future__ import annotations

import asyncio
import time

import pytest

from restante.protocol.server.settings import ProtocolSettings
from restante.storage.memory import MemoryStore
from support.clocked_server import clocked
from support.live import serving

LETTER = b"Subject: a\n\nhello\n"
LOG_IN = b"USER ann\r\nPASS secret\r\n"


def test_silent_client_times_out() -> None:
    """rfc1939-s3/timeout-keeps-mail, known-bug/extra-reply, known-bug/short-timeout: a silent
    client is disconnected without a reply.
    """
    short = ProtocolSettings(login_timeout=0.4)
    with serving(settings=short) as live, live.connect() as client:
        assert client.read_all() == b"+OK POP3 server ready.\r\n"
        live.wait_for_log("end=timeout")


@pytest.mark.parametrize("begun", [b"", b"AUTH PLAIN\r\n"])
def test_a_byte_now_and_then_buys_no_time(begun: bytes) -> None:
    """policy/short-login: single octets give a client no more time for a command or a response."""
    with clocked(ProtocolSettings(login_timeout=60)) as server:
        peer = server.connect()
        peer.say(begun)
        for _ in range(61):
            peer.say(b"x")
            server.loop.advance(1)
        assert peer.closed
        assert server.ended() == ["timeout"]


def test_every_command_starts_the_clock_anew() -> None:
    """rfc1939-s3/idle-timeout."""
    with clocked(ProtocolSettings(idle_timeout=600)) as server:
        peer = server.connect()
        peer.say(b"USER ann\r\n")
        assert peer.say(b"PASS secret\r\n") == b"+OK Logged in.\r\n"
        for _ in range(3):
            server.loop.advance(599, 100)
            assert peer.say(b"NOOP\r\n") == b"+OK\r\n"
        server.loop.advance(601, 100)
        assert peer.closed


def test_a_session_that_times_out_removes_nothing() -> None:
    """rfc1939-s3/timeout-keeps-mail, rfc1939-s6/only-quit-removes."""
    store = MemoryStore()
    asyncio.run(store.deliver("ann", LETTER))
    with clocked(ProtocolSettings(idle_timeout=600), store=store) as server:
        peer = server.connect()
        assert peer.say(LOG_IN + b"DELE 1\r\n").endswith(b"+OK Marked to be deleted.\r\n")
        server.loop.advance(601, 100)
        assert server.ended() == ["timeout"]
        assert server.connect().say(LOG_IN + b"STAT\r\n").endswith(b"+OK 1 21\r\n")


def test_a_peer_that_reads_nothing_is_given_up() -> None:
    """policy/connection-limits."""
    with serving(write_timeout=0.3) as live:
        live.add("ann", "secret", b"x" * 30_000_000)
        with live.connect() as client:
            client.log_in("ann", "secret")
            client.send(b"RETR 1\r\n")
            live.wait_for_log('end="peer reads nothing"')


def test_second_session_waits() -> None:
    """policy/lock-wait, implied/password-before-lock, rfc1939-s4/retry-login,
    rfc2449-s8.1/response-codes, known-bug/two-sessions: a second session waits for the lock, gets
    IN-USE, and may retry.
    """
    with serving(lock_timeout=0.3) as live:
        live.add("ann", "secret", LETTER)
        with live.connect() as first, live.connect() as second:
            first.log_in("ann", "secret")
            second.read_line()
            second.say("USER ann")
            begun = time.monotonic()
            said = second.say("PASS secret")
            assert said == b"-ERR [IN-USE] Another session holds this maildrop.\r\n"
            assert time.monotonic() - begun >= 0.3
            second.say("USER ann")
            assert second.say("PASS wrong").startswith(b"-ERR [AUTH]")
            first.say("QUIT")
            second.say("USER ann")
            assert second.say("PASS secret") == b"+OK Logged in.\r\n"
