"""Limits and delays hold over all workers together."""

from __future__ import annotations

import base64
import os
import re
import signal
import time
from contextlib import ExitStack
from pathlib import Path

from support.live import Client, wait_until
from support.workers import Workers, log_in, runs, working

TOO_MANY = b"-ERR [SYS/TEMP] Too many connections, try again later.\r\n"


def at_both(workers: Workers, stack: ExitStack) -> list[Client]:
    return list(workers.at_each(stack, workers.greeted).values())


def greets(workers: Workers) -> bool:
    """Tell whether a new connection is greeted; it is closed at once."""
    with workers.served.connect() as client:
        said = client.read_line()
        assert said.startswith(b"+OK") or said == TOO_MANY
        return said != TOO_MANY


def test_address_counts_in_all_workers(tmp_path: Path) -> None:
    """Connections of one address are counted over all workers."""
    limits = "[limits]\nconnections_per_address = 3\ncount_loopback = true\n"
    with working(tmp_path, limits) as workers, ExitStack() as stack:
        wait_until(lambda: greets(workers))
        kept = [greeted_at_last(workers, stack) for _ in range(3)]
        assert not any(greets(workers) for _ in range(10))
        kept[0].close()
        wait_until(lambda: greets(workers))


def test_all_connections_are_counted_in_all_workers(tmp_path: Path) -> None:
    """policy/connection-limits."""
    with working(tmp_path, "[limits]\nconnections = 3\n") as workers, ExitStack() as stack:
        kept = [greeted_at_last(workers, stack) for _ in range(3)]
        assert not any(greets(workers) for _ in range(10))
        kept[0].close()
        wait_until(lambda: greets(workers))


def greeted_at_last(workers: Workers, stack: ExitStack) -> Client:
    """Return a client that was greeted: one that has just gone may be counted a little longer."""
    for _ in range(1000):
        client = workers.served.connect()
        if client.read_line() != TOO_MANY:
            return stack.enter_context(client)
        client.close()
    raise AssertionError("nobody is let in")


def test_what_a_dead_worker_counted_is_forgotten(tmp_path: Path) -> None:
    """The counts of a killed worker are forgotten."""
    with working(tmp_path, "[limits]\nconnections = 4\n") as workers, ExitStack() as stack:
        kept = [greeted_at_last(workers, stack) for _ in range(4)]
        assert not greets(workers)
        dead = workers.pid_of(kept[0])
        lost = sum(workers.pid_of(client) == dead for client in kept)
        os.kill(dead, signal.SIGKILL)
        wait_until(lambda: not runs(dead))
        workers.wait_for("worker_started", 3)
        for _ in range(lost):
            greeted_at_last(workers, stack)
        assert not any(greets(workers) for _ in range(10))


def test_sessions_of_a_user_are_counted_in_all_workers(tmp_path: Path) -> None:
    """Sessions of a user are counted over all workers."""
    limits = "[limits]\nsessions_per_user = 1\n[timeouts]\nlock = 0\n"
    with working(tmp_path, limits) as workers, ExitStack() as stack:
        workers.served.add("ann", "secret")
        first, second = at_both(workers, stack)
        assert log_in(first, "ann") == b"+OK Logged in.\r\n"
        assert log_in(second, "ann").startswith(b"-ERR [IN-USE] Too many sessions of this account")
        first.say("QUIT")
        assert first.read_all() == b""
        wait_until(lambda: log_in(second, "ann") == b"+OK Logged in.\r\n")


def test_the_delay_between_logins_holds_in_all_workers(tmp_path: Path) -> None:
    """rfc2449-s6.5/login-delay, rfc2449-s8.1/response-codes."""
    with working(tmp_path, "[login]\ndelay = 3600\n") as workers, ExitStack() as stack:
        workers.served.add("ann", "secret")
        first, second = at_both(workers, stack)
        assert log_in(first, "ann") == b"+OK Logged in.\r\n"
        first.say("QUIT")
        assert first.read_all() == b""
        assert log_in(second, "ann").startswith(b"-ERR [LOGIN-DELAY] ")


def test_who_failed_at_one_worker_waits_at_the_other(tmp_path: Path) -> None:
    """policy/throttle."""
    with working(tmp_path, "[limits]\ncount_loopback = true\n") as workers, ExitStack() as stack:
        workers.served.add("ann", "secret")
        first, second = at_both(workers, stack)
        for guess in range(3):
            begun = time.monotonic()
            assert log_in(first, "ann", f"wrong{guess}").startswith(b"-ERR [AUTH]")
        assert log_in(second, "ann") == b"+OK Logged in.\r\n"
        assert time.monotonic() - begun >= 1  # second after a third failure


def test_unknown_name_same_salt(tmp_path: Path) -> None:
    """rfc3206-s6/auth-on-refusal: all workers answer alike for an unknown name, else the salt would
    show which names exist.
    """
    with working(tmp_path, '[login]\nscram = "always"\n') as workers, ExitStack() as stack:
        workers.served.add("ann", "secret")
        told = set()
        for client in at_both(workers, stack):
            client.say("AUTH SCRAM-SHA-256")
            told.add(re.sub(rb"r=[^,]*", b"", _challenge(client)))
        assert len(told) == 1


def _challenge(client: Client) -> bytes:
    said = client.say(base64.b64encode(b"n,,n=nobody,r=abc").decode())
    assert said.startswith(b"+ ")
    return base64.b64decode(said[2:])
