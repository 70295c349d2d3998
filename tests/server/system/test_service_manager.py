"""The server notifies systemd: sd_notify(3)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.server.system.service_manager import NOT_RELOADED, SERVING, ServiceManager
from support.live import PATIENCE
from support.process import serving

ALIVE = ["WATCHDOG=1"]


class Manager:
    """A service manager: the socket for the messages of a service."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE)
        self.socket.bind(address.replace("@", "\0"))

    def read(self) -> list[str]:
        """Return the fields of the next message, without the value of the clock."""
        fields = self.socket.recv(4096).decode().splitlines()
        return [field.partition("=")[0] if "USEC" in field else field for field in fields]

    def read_next(self) -> list[str]:
        """Return the next message that is not a sign of life."""
        while (fields := self.read()) == ALIVE:
            pass
        return fields


@pytest.fixture(params=["{folder}/notify", "@restante-{pid}"], ids=["file", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Manager]:
    address = request.param.format(folder=tmp_path, pid=os.getpid())
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    made = Manager(address)
    with made.socket:
        yield made


@pytest.mark.parametrize(
    ("manager", "workers"), [("{folder}/notify", 1), ("@restante-{pid}", 2)], indirect=["manager"]
)
def test_life_of_a_service(
    tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """The server reports that it serves, reloads, lives and stops."""
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    file = tmp_path / "restante.toml"
    file.touch()
    with serving(tmp_path, "--config", file, "--workers", str(workers)) as served:
        assert manager.read_next() == ["READY=1", f"STATUS={SERVING}"]
        assert manager.read() == ALIVE
        file.write_text("mistake = 1\n")
        served.process.send_signal(signal.SIGHUP)
        assert manager.read_next() == ["RELOADING=1", "MONOTONIC_USEC"]
        assert manager.read_next() == ["READY=1", f"STATUS={NOT_RELOADED}"]
        file.write_text("")
        served.process.send_signal(signal.SIGHUP)
        assert manager.read_next() == ["RELOADING=1", "MONOTONIC_USEC"]
        assert manager.read_next() == ["READY=1", f"STATUS={SERVING}"]
        assert manager.read() == ALIVE
        served.process.send_signal(signal.SIGTERM)
        assert manager.read_next() == ["STOPPING=1"]
        assert served.process.wait(PATIENCE) == 0


FAILING_RELOAD = """
import sys
from pathlib import Path
from restante.server import app
from restante.server.config import loader
from restante.server.system.service_manager import ServiceManager

def fail():
    raise RuntimeError("a detail")

folder, workers = Path(sys.argv[1]), int(sys.argv[2])
flags = {
    "server": {"listen": ["127.0.0.1:0"], "workers": workers},
    "mail": {"folder": folder},
    "accounts": {"users": folder / "users"},
}
app.run(loader.load(None, flags), load_config=fail, manager=ServiceManager())
"""
"""A server whose configuration cannot be loaded again, for a reason that no code expects."""


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("manager", ["{folder}/notify"], indirect=True)
def test_reload_that_fails_unexpectedly(tmp_path: Path, manager: Manager, workers: int) -> None:
    """A reload ends for the manager whatever it meets: systemd would wait for it, and then fail."""
    users = tmp_path / "users"
    users.touch(0o600)
    command = [sys.executable, "-c", FAILING_RELOAD, str(tmp_path), str(workers)]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as server:
        try:
            assert manager.read_next() == ["READY=1", f"STATUS={SERVING}"]
            server.send_signal(signal.SIGHUP)
            assert manager.read_next() == ["RELOADING=1", "MONOTONIC_USEC"]
            assert manager.read_next() == ["READY=1", f"STATUS={NOT_RELOADED}"]
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE) == 0
    assert 'event=incident what="cannot reload"' in (tmp_path / "log").read_text()


@pytest.mark.parametrize("status", [SERVING, NOT_RELOADED])
@pytest.mark.parametrize("manager", ["{folder}/notify"], indirect=True)
def test_reload_during_start_and_stop(manager: Manager, status: str) -> None:
    """A reload makes no server ready that does not accept connections yet, or no longer."""
    service = ServiceManager()
    service.reloading()
    service.end_reload(status)
    service.ready()
    assert manager.read() == ["READY=1", f"STATUS={SERVING}"]
    service.stopping()
    service.reloading()
    service.end_reload(status)
    assert manager.read() == ["STOPPING=1"]
    manager.socket.settimeout(0)
    with pytest.raises(BlockingIOError):
        manager.read()


def test_manager_that_does_not_listen(manager: Manager) -> None:
    """A message that cannot be delivered raises nothing."""
    manager.socket.close()
    ServiceManager().ready()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, None),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "60000000"}, 30),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "often"}, None),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "0"}, None),
    ],
)
def test_how_often_a_sign_of_life_is_due(
    environment: dict[str, str], expected: float | None
) -> None:
    """Signs of life come twice in the time that the manager allows this process."""
    assert ServiceManager(environment).alive_every == expected
