"""Several workers: one port, one set of limits, and nobody notices when one of them dies."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.live import PATIENCE, Client, wait_until
from support.process import Served, serving

LETTER = b"Subject: a\n\nhello\n"
TOO_MANY = b"-ERR [SYS/TEMP] Too many connections, try again later.\r\n"


class Workers:
    """A server with workers, and what its log tells of them."""

    def __init__(self, served: Served) -> None:
        self.served = served

    def events(self, event: str) -> list[str]:
        lines = self.served.log.read_text().splitlines()
        return [line for line in lines if f"event={event} " in line]

    def started(self) -> list[int]:
        """Return the workers that ever were, in the order of their start."""
        return [int(_value(line, "worker")) for line in self.events("worker_started")]

    def alive(self) -> list[int]:
        ended = [int(_value(line, "worker")) for line in self.events("worker_ended")]
        return [pid for pid in self.started() if pid not in ended]

    def greeted(self) -> Client:
        client = self.served.connect()
        assert client.read_line().startswith(b"+OK")
        return client

    def pid_of(self, client: Client) -> int:
        """Return the worker that serves this client: no other process has its connection."""
        port = client.socket.getsockname()[1]
        return next(pid for pid in self.alive() if port in _peer_ports(pid))

    def at_each(self, stack: ExitStack, dial: Callable[[], Client]) -> dict[int, Client]:
        """Return a client at each worker; those there were to make until then are closed."""
        found: dict[int, Client] = {}
        for _ in range(1000):
            client = dial()
            pid = self.pid_of(client)
            if pid not in found:
                found[pid] = stack.enter_context(client)
            else:
                client.close()
            if len(found) == len(self.alive()):
                return found
        raise AssertionError("some worker gets no connection")


def _value(line: str, key: str) -> str:
    found = re.search(rf'\b{key}=("[^"]*"|\S+)', line)
    assert found, line
    return found[1].strip('"')


def _peer_ports(pid: int) -> set[int]:
    """Return the ports of those whose connections a process has."""
    folder = Path(f"/proc/{pid}/fd")
    inodes = set()
    for name in os.listdir(folder):
        try:
            target = os.readlink(folder / name)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    rows = [row.split() for row in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(row[2].rpartition(":")[2], 16) for row in rows if row[9] in inodes}


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Workers]:
    with serving(tmp_path, "--workers", "2") as served:
        workers = Workers(served)
        wait_until(lambda: workers.events("listening"))
        yield workers
        assert served.process.poll() is None
        assert served.stop() == 0
        assert not any(map(_runs, workers.started()))
        _assert_closed(served.port)


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _assert_closed(port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()


def _log_in(client: Client, user: str, password: str = "secret") -> bytes:
    client.say(f"USER {user}")
    return client.say(f"PASS {password}")


def test_two_workers_share_a_port(two: Workers) -> None:
    assert len(two.alive()) == 2
    with ExitStack() as stack:
        clients = two.at_each(stack, two.greeted)
        assert sorted(clients) == sorted(two.alive())
        for client in clients.values():
            assert client.say("QUIT") == b"+OK Logging out.\r\n"
            assert client.read_all() == b""
    wait_until(lambda: len({_value(line, "pid") for line in two.events("session")}) == 2)


def test_a_worker_that_is_killed_is_replaced_and_nobody_else_notices(two: Workers) -> None:
    two.served.add("ann", "secret", LETTER)
    with ExitStack() as stack:
        clients = two.at_each(stack, two.greeted)
        (doomed, victim), (_, other) = clients.items()
        assert _log_in(other, "ann") == b"+OK Logged in.\r\n"
        os.kill(doomed, signal.SIGKILL)
        for _ in range(20):
            with two.greeted() as client:
                assert client.say("QUIT") == b"+OK Logging out.\r\n"
        assert victim.read_line() == b""
        assert other.say("STAT") == b"+OK 1 21\r\n"
        wait_until(lambda: len(two.alive()) == 2 and len(two.started()) == 3)
        assert "status=SIGKILL" in two.events("worker_ended")[0]
        assert other.say("RETR 1").startswith(b"+OK")
        assert b"hello\r\n" in other.read_lines()
        newcomer = two.started()[2]
        assert newcomer in two.at_each(stack, two.greeted)


def test_one_session_a_maildrop_holds_over_workers(two: Workers) -> None:
    """R1939-4."""
    two.served.add("ann", "secret", LETTER)
    with ExitStack() as stack:
        first, second = two.at_each(stack, two.greeted).values()
        assert _log_in(first, "ann") == b"+OK Logged in.\r\n"
        assert _log_in(second, "ann").startswith(b"-ERR [IN-USE] Another session")
        assert first.say("QUIT") == b"+OK Logging out.\r\n"
        assert _log_in(second, "ann") == b"+OK Logged in.\r\n"


def test_what_one_worker_removes_or_gets_the_other_sees(two: Workers) -> None:
    maildir = two.served.add("ann", "secret", LETTER, LETTER)

    def sessions(says: str) -> None:
        """Log in at each worker, so that both remember how the maildrop is."""
        with ExitStack() as stack:
            for client in two.at_each(stack, two.greeted).values():
                assert _log_in(client, "ann") == b"+OK Logged in.\r\n"
                assert client.say("STAT").decode() == says
                assert client.say("QUIT").startswith(b"+OK")

    sessions("+OK 2 42\r\n")
    with two.greeted() as client:
        _log_in(client, "ann")
        client.say("DELE 1")
        assert client.say("QUIT").startswith(b"+OK")
    sessions("+OK 1 21\r\n")
    (maildir / "tmp" / "3.test").write_bytes(LETTER)
    (maildir / "tmp" / "3.test").rename(maildir / "new" / "3.test")
    sessions("+OK 2 42\r\n")
