"""A server with several workers, and its log's lines about them."""

from __future__ import annotations

import contextlib
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


class Workers:
    """A server with workers, and its log's lines about them."""

    def __init__(self, served: Served, config: Path) -> None:
        self.served = served
        self.config = config

    def events(self, event: str) -> list[str]:
        lines = self.served.log.read_text().splitlines()
        return [line for line in lines if f"event={event} " in line]

    def started(self) -> list[int]:
        """Return the workers that ever were, in the order of their start."""
        return [int(value(line, "worker")) for line in self.events("worker_started")]

    def alive(self) -> list[int]:
        ended = [int(value(line, "worker")) for line in self.events("worker_ended")]
        return [pid for pid in self.started() if pid not in ended]

    def greeted(self) -> Client:
        client = self.served.connect()
        assert client.read_line().startswith(b"+OK")
        return client

    def wait_for(self, event: str, times: int = 1) -> None:
        wait_until(lambda: len(self.events(event)) >= times)

    def wait_for_end(self) -> None:
        """Wait until no worker runs, and check that no process listens."""
        wait_until(lambda: not any(map(runs, self.started())))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", self.served.port), PATIENCE).close()

    def pid_of(self, client: Client) -> int:
        """Return the worker that serves this client: no other process has its connection."""
        return self.pids_with(client.socket)[0]

    def pids_with(self, connected: socket.socket) -> list[int]:
        """Return the worker that accepted this connection, nothing until one has."""
        port = connected.getsockname()[1]
        return [pid for pid in self.alive() if port in _peer_ports(pid)]

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


@contextlib.contextmanager
def working(folder: Path, config: str = "", workers: int = 2) -> Iterator[Workers]:
    """Run the command with workers and a configuration; at the end nothing is left of them."""
    file = folder / "restante.toml"
    file.write_text(config)
    with serving(folder, "--workers", str(workers), "--config", file) as served:
        running = Workers(served, file)
        wait_until(lambda: [line for line in running.events("listening") if "way=" not in line])
        yield running
        if served.process.poll() is None:
            assert served.stop() == 0
        running.wait_for_end()


def value(line: str, key: str) -> str:
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


def runs(pid: int) -> bool:
    """Tell whether a process is there; one that has ended is, until its parent has looked."""
    return Path(f"/proc/{pid}").exists()


def catches(pid: int, number: signal.Signals) -> bool:
    """Return whether a process has a handler for a signal: before, the signal would end it."""
    text = Path(f"/proc/{pid}/status").read_text()
    return bool(int(text.partition("SigCgt:")[2].split()[0], 16) >> (number - 1) & 1)


def log_in(client: Client, user: str, password: str = "secret") -> bytes:
    """Log in, and return the server's reply."""
    client.say(f"USER {user}")
    return client.say(f"PASS {password}")
