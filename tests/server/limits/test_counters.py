"""Limits for all connections together."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import cast

from restante.protocol.server.settings import AuthOffer
from restante.server.limits.counters import CountLimit, LoginDelay
from restante.server.limits.server_limits import ServerLimits
from restante.storage.errors import TooSoonError
from restante.storage.memory import MemoryMaildrop, MemoryStore
from support.clocked_server import clocked
from support.live import serving, wait_until
from support.passwords import Passwords
from support.process import serving as serving_process


def test_connection_over_limit() -> None:
    """policy/connection-limits: a connection over the limit gets an error and is closed."""
    with serving(limits=ServerLimits(connections=CountLimit(2))) as live:
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


def test_the_announced_delay_between_logins_is_kept() -> None:
    """rfc2449-s6.5/login-delay, rfc2449-s8.1/response-codes."""
    now = 1000.0
    limits = ServerLimits(login_delay=LoginDelay(lambda: now))
    with serving(limits=limits, offer=lambda: AuthOffer(login_delay=60)) as live:
        live.add("ann", "secret")
        live.add("bob", "secret")

        def log_in(user: str) -> bytes:
            with live.connect() as client:
                client.read_line()
                assert client.say(f"USER {user}") == b"+OK\r\n"
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


def test_the_delay_between_logins_that_wait_together() -> None:
    """Of logins that wait for the same maildrop, one gets it; the delay holds for the others."""
    with serving(lock_timeout=60, offer=lambda: AuthOffer(login_delay=60)) as live:
        live.add("ann", "secret")
        held = live.call(live.context.store.acquire("ann", 1))
        with live.connect() as first, live.connect() as second:
            for client in (first, second):
                client.read_line()
                client.say("USER ann")
                client.send(b"PASS secret\r\nQUIT\r\n")
            wait_until(lambda: live.context.limits.users.count("ann") == 2)
            live.loop.call_soon_threadsafe(held.release)
            said = [client.read_all().partition(b"\r\n")[0] for client in (first, second)]
        assert sorted(said) == [
            b"+OK Logged in.",
            b"-ERR [LOGIN-DELAY] You may log in once in 60 seconds.",
        ]


def test_open_files_limit_is_raised(tmp_path: Path) -> None:
    """policy/connection-limits: the server raises its limit of open files to the maximum."""
    before = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1000), hard))
    try:
        with serving_process(tmp_path) as served:
            taken = resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert taken == (hard, hard)


class LoginsElsewhere(MemoryStore):
    """A store that knows of Ann's login at another node."""

    async def acquire_delayed(self, owner: str, patience: float, delay: int) -> MemoryMaildrop:
        assert delay == 60
        if owner == "ann":
            raise TooSoonError("ann has logged in too recently")
        return await self.acquire(owner, patience)


def test_login_at_another_node() -> None:
    """rfc2449-s6.5/login-delay: a login counts at all nodes of a cluster."""
    with clocked(store=LoginsElsewhere(), offer=lambda: AuthOffer(login_delay=60)) as server:
        cast(Passwords, server.context.authenticator).known["bob"] = "secret"
        said = server.connect().say(b"USER ann\r\nPASS secret\r\n")
        assert said.endswith(b"-ERR [LOGIN-DELAY] You may log in once in 60 seconds.\r\n")
        assert server.connect().say(b"USER bob\r\nPASS secret\r\n").endswith(b"+OK Logged in.\r\n")
