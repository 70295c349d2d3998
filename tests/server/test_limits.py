"""Limits for all connections together: X19, R2449-6.5."""

from __future__ import annotations

import pytest

from restante.protocol.settings import Offer
from support.live import serving


def test_over_the_limit_a_connection_is_told_so_and_closed() -> None:
    with serving(most_connections=2) as live:
        first, second = live.connect(), live.connect()
        assert first.read_line().startswith(b"+OK")
        assert second.read_line().startswith(b"+OK")
        with live.connect() as third:
            assert third.read_all() == (
                b"-ERR [SYS/TEMP] Too many connections, try again later.\r\n"
            )
        first.say("QUIT")
        assert first.read_all() == b""
        with live.connect() as fourth:
            assert fourth.read_line().startswith(b"+OK")
        for client in (first, second):
            client.close()
        live.wait_for_log('end="too many connections"')


def test_the_announced_delay_between_logins_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("restante.server.limits.time.monotonic", lambda: now)
    with serving(offer=lambda: Offer(login_delay=60)) as live:
        live.add("ann", "secret")
        live.add("bob", "secret")

        def log_in(user: str) -> bytes:
            with live.connect() as client:
                client.read_line()
                client.say(f"USER {user}")
                said = client.say("PASS secret")
                client.say("QUIT")
                return said

        assert log_in("ann") == b"+OK Logged in.\r\n"
        now += 59
        delayed = b"-ERR [LOGIN-DELAY] You may log in once in 60 seconds.\r\n"
        assert log_in("ann") == delayed
        assert log_in("bob") == b"+OK Logged in.\r\n"
        now += 2
        assert log_in("ann") == b"+OK Logged in.\r\n"
        now += 30
        assert log_in("bob") == delayed
