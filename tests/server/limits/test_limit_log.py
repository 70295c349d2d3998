"""Rejected connections cost other clients nothing, and each limit that is reached is logged."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import signal
import subprocess
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from restante.server.connection.transport import ListenerPolicy
from restante.server.limits.counters import AddressLimit, CountLimit
from restante.server.limits.failures import Failures
from restante.server.limits.limit_log import EVERY, LimitLog
from restante.server.limits.server_limits import MAX_LINGERING, ServerLimits
from restante.server.limits.shared_limits import SharedLimits
from restante.server.limits.throttle import Tables, Throttle
from restante.server.log import event_log
from restante.server.system import process as system
from support.clocked_server import clocked
from support.live import PATIENCE, Client, wait_until
from support.process import POP3, free_port, wait_for_port

DOVECOT = "203.0.113.8"
OF_DOVECOT = ListenerPolicy(xclient_proxies=(ip_network(DOVECOT),))
FULL = b"-ERR [SYS/TEMP] Too many connections, try again later.\r\n"


def test_address_over_its_limit() -> None:
    """A connection over the limit of its address never counts in the total, and is logged."""
    limits = ServerLimits(connections=CountLimit(3), addresses=AddressLimit(1))
    with clocked(limits=limits) as server:
        first = server.connect(address="192.0.2.1")
        for _ in range(50):
            assert server.connect(address="192.0.2.1").heard == FULL
        assert server.log.getvalue().count("limit=limits.connections_per_address ") == 1
        others = [server.connect(address=f"198.51.100.{number}") for number in (1, 2)]
        assert all(peer.heard.startswith(b"+OK") for peer in (first, *others))
        assert server.connect(address="198.51.100.3").heard == FULL
        assert "limit=limits.connections " in server.log.getvalue()


def test_address_of_a_proxys_client() -> None:
    """A client that a proxy names counts in no total either, if its address is over the limit."""
    limits = ServerLimits(connections=CountLimit(3), addresses=AddressLimit(1))
    with clocked(limits=limits) as server:
        for number in range(MAX_LINGERING + 20):
            peer = server.connect(OF_DOVECOT, DOVECOT)
            said = peer.say(b"XCLIENT ADDR=192.0.2.1\r\n")
            assert said == (b"+OK\r\n" if number == 0 else FULL)
        assert server.connect(address="198.51.100.1").heard.startswith(b"+OK")
        assert len(server.context.connections) <= MAX_LINGERING + 2
        assert limits.connections.count("") == 2


def test_many_turned_away() -> None:
    """If many connections are rejected, each gets an error, and none is waited for."""
    with clocked(limits=ServerLimits(connections=CountLimit(1))) as server:
        server.connect()
        peers = [server.connect() for _ in range(MAX_LINGERING + 20)]
        assert {peer.heard for peer in peers} == {FULL}
        assert len(server.context.connections) <= MAX_LINGERING + 1


@pytest.mark.parametrize("shared", [False, True])
def test_full_table_of_failures(*, shared: bool) -> None:
    """Where failures are forgotten before their time, the log says so."""
    tables = Tables(failed=Failures(8), tried=Failures(8))
    everybody = SharedLimits(1, 1, timestamps=8)
    throttle = everybody.throttle(count_loopback=False) if shared else Throttle(tables=tables)
    with clocked(limits=ServerLimits(throttle=throttle)) as server:
        for number in range(8):
            server.context.limits.throttle.note_failure("192.0.2.1", f"user{number}")
        assert "limit_reached" not in server.log.getvalue()
        server.context.limits.throttle.note_failure("192.0.2.1", "one more")
        assert 'limit="failed logins remembered"' in server.log.getvalue()


@pytest.mark.parametrize("counted", ["addresses", "users", "guesses", "logins"])
def test_full_table_of_counters(counted: str) -> None:
    """If a table of the workers has no room, the client is served, and the log says so once."""
    shared = SharedLimits(1, 1, timestamps=8)
    limits = ServerLimits(
        addresses=AddressLimit(shared.addresses(1)),
        users=shared.users(1),
        throttle=shared.throttle(count_loopback=False),
        login_delay=shared.login_delay(),
    )
    count: dict[str, Callable[[str], object]] = {
        "addresses": limits.addresses.acquire,
        "users": limits.users.acquire,
        "guesses": limits.throttle.places.acquire,
        "logins": lambda name: limits.login_delay.note(name, 60),
    }
    with clocked(limits=limits) as server:
        assert False not in [count[counted](f"192.0.2.{number}") for number in range(20)]
        assert server.log.getvalue().count('limit="shared counters" times=1 ') == 1


def test_event_about_a_limit() -> None:
    """A limit is logged once a minute, with what to do and how often it was reached."""
    lines = io.StringIO()
    log, writer = event_log.configure_log("text", lines)
    now = 0.0
    limits = LimitLog(log, lambda: now)
    for _ in range(5):
        limits.note("open files", "raise it")
    now = EVERY
    limits.note("open files", "raise it")
    writer.close()
    first, second = lines.getvalue().splitlines()
    assert first.endswith('event=limit_reached limit="open files" times=1 advice="raise it"')
    assert second.endswith('event=limit_reached limit="open files" times=5 advice="raise it"')


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_accept_fails(number: int) -> None:
    """An accept that fails for want of descriptors is an event with advice, and no incident."""
    lines = io.StringIO()
    log, writer = event_log.configure_log("text", lines)

    async def fail() -> None:
        system.report_incidents(log, LimitLog(log))
        error = OSError(number, "too many")
        for _ in range(3):
            asyncio.get_running_loop().call_exception_handler({"message": "x", "exception": error})

    asyncio.run(fail())
    writer.close()
    assert lines.getvalue().count("event=limit_reached") == 1
    assert "incident" not in lines.getvalue()


@contextlib.contextmanager
def few_files(tmp_path: Path, limit: str, workers: str) -> Iterator[tuple[int, Path]]:
    """Serve with a limit of open files, by `ulimit`, and yield the port and the log."""
    (tmp_path / "users").touch()
    port, log = free_port(), tmp_path / "log"
    command: list[str | Path] = ["sh", "-c", f'ulimit {limit}; exec "$@"', "sh", POP3, "serve"]
    command += ["--listen", f"127.0.0.1:{port}", "--mail", tmp_path, "--workers", workers]
    command += ["--users", tmp_path / "users"]
    with log.open("wb") as file, subprocess.Popen(command, stderr=file) as server:
        try:
            wait_for_port(port, server)
            yield port, log
            server.send_signal(signal.SIGTERM)
            assert server.wait(PATIENCE) == 0
        finally:
            server.kill()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_few_open_files(tmp_path: Path, workers: str) -> None:
    """With few open files clients are served or told so, and the log says what to do."""
    with few_files(tmp_path, "-n 100", workers) as (port, log):
        clients = [Client(port) for _ in range(150)]
        heard = {client.read_line() for client in clients}
        assert heard == {b"+OK POP3 server ready.\r\n", FULL}
        for client in clients:
            client.close()
        wait_until(lambda: _greets(port))  # once the server has seen the others leave
    text = log.read_text()
    assert 'event=limit_reached limit="open files"' in text
    assert "limits.connections" in text
    assert text.count("event=limit_reached") <= 2 * int(workers)
    assert "incident" not in text


@pytest.mark.parametrize("workers", ["1", "2"])
def test_low_soft_limit(tmp_path: Path, workers: str) -> None:
    """The server uses all open files that the hard limit allows, whatever the soft limit is."""
    with few_files(tmp_path, "-S -n 64", workers) as (port, _):
        clients = [Client(port) for _ in range(100)]
        assert {client.read_line() for client in clients} == {b"+OK POP3 server ready.\r\n"}
        for client in clients:
            client.close()


def _greets(port: int) -> bool:
    with Client(port) as client:
        return client.read_line().startswith(b"+OK")
