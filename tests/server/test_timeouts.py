"""Time-outs: RFC 1939 section 3."""

from __future__ import annotations

import socket
import threading
import time

from restante.protocol.server.settings import ProtocolSettings
from support.live import Client, Live, serving

LETTER = b"Subject: a\n\nhello\n"
SHORT = ProtocolSettings(login_timeout=0.4, idle_timeout=0.4)


def session_lines(live: Live) -> list[str]:
    return [line for line in live.log.getvalue().splitlines() if "event=session" in line]


def wait_for_end(live: Live, count: int = 1) -> str:
    deadline = time.monotonic() + 10
    while len(session_lines(live)) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return session_lines(live)[count - 1]


def test_a_client_that_says_nothing_is_left_without_a_word() -> None:
    """rfc1939-s3/timeout-keeps-mail, known-bug/extra-reply, known-bug/short-timeout."""
    with serving(settings=SHORT) as live, live.connect() as client:
        assert client.read_all() == b"+OK POP3 server ready.\r\n"
        assert "end=timeout" in wait_for_end(live)


def test_a_byte_now_and_then_buys_no_time() -> None:
    with serving(settings=SHORT) as live, live.connect() as client:
        client.read_line()
        begun = time.monotonic()
        over = threading.Event()

        def drip() -> None:
            while not over.wait(0.05):
                try:
                    client.send(b"x")
                except OSError:
                    return

        dripper = threading.Thread(target=drip)
        dripper.start()
        said = client.read_line()
        over.set()
        dripper.join()
        assert said == b""
        assert time.monotonic() - begun < 5
        assert "end=timeout" in wait_for_end(live)


def test_every_command_starts_the_clock_anew() -> None:
    """rfc1939-s3/idle-timeout."""
    with serving(settings=ProtocolSettings(login_timeout=1, idle_timeout=1)) as live:
        live.add("ann", "secret", LETTER)
        with live.connect() as client:
            client.log_in("ann", "secret")
            begun = time.monotonic()
            while time.monotonic() - begun < 2.5:
                assert client.say("NOOP") == b"+OK\r\n"
                time.sleep(0.2)


def test_a_session_that_times_out_removes_nothing() -> None:
    """rfc1939-s3/timeout-keeps-mail, rfc1939-s6/only-quit-removes."""
    with serving(settings=SHORT) as live:
        live.add("ann", "secret", LETTER)
        with live.connect() as client:
            client.log_in("ann", "secret")
            client.say("DELE 1")
            assert client.read_all() == b""
        with live.connect() as client:
            client.log_in("ann", "secret")
            assert client.say("STAT") == b"+OK 1 21\r\n"


def test_a_peer_that_reads_nothing_is_given_up() -> None:
    """policy/connection-limits."""
    with serving(write_timeout=0.3) as live:
        live.add("ann", "secret", b"x" * 30_000_000)
        with live.connect() as client:
            client.log_in("ann", "secret")
            client.send(b"RETR 1\r\n")
            assert 'end="peer reads nothing"' in wait_for_end(live)


def test_a_peer_that_reads_slowly_but_steadily_is_not_given_up() -> None:
    with serving(write_timeout=0.5) as live:
        live.add("ann", "secret", b"x" * 12_000_000)
        client = Client(live.port)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.log_in("ann", "secret")
        client.send(b"RETR 1\r\nQUIT\r\n")
        received = b""
        while piece := client.socket.recv(500_000):
            received += piece
            time.sleep(0.02)
        assert received.endswith(b"x\r\n.\r\n+OK Logging out.\r\n")
        client.close()


def test_a_second_session_waits_for_the_lock_then_hears_in_use_and_may_try_again() -> None:
    """policy/lock-wait, implied/password-before-lock, rfc1939-s4/retry-login,
    rfc2449-s8.1/response-codes, known-bug/two-sessions.
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
