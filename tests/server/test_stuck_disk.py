"""Disk calls that hang: other users log in, and the server ends in its time."""

from __future__ import annotations

import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.live import wait_until
from support.process import Served
from support.process import serving as serving_process

PATIENCE = 30  # seconds
SITE = """
import os, sys, time
if len(sys.argv) > 1 and sys.argv[1] == "serve":
    from restante.storage.maildir.store import MaildirStore
    original = MaildirStore.open_blocking
    def open_blocking(self, owner, folder):
        if owner == "stuck":
            time.sleep(3600)
        return original(self, owner, folder)
    MaildirStore.open_blocking = open_blocking
    from restante.storage.disk_threads import DISK
    DISK.patience = 0.5
"""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Serve, with a disk that hangs for the user "stuck"."""
    (tmp_path / "sitecustomize.py").write_text(SITE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    settings = tmp_path / "restante.toml"
    settings.write_text("[timeouts]\nstop = 1\n[limits]\nsessions_per_user = 50\n")
    with serving_process(tmp_path, "--config", settings) as served:
        yield served


def test_a_stuck_user_stalls_no_other(served: Served) -> None:
    """However many logins of one user hang, another one logs in, and SIGTERM ends the server."""
    served.add("stuck", "secret")
    served.add("ann", "secret", b"Subject: a\n\n")
    hanging = [served.connect() for _ in range(12)]
    for client in hanging:
        client.read_line()
        client.send(b"USER stuck\r\nPASS secret\r\n")
    with served.connect() as client:
        client.log_in("ann", "secret")
        assert client.say("RETR 1").startswith(b"+OK")
        client.read_lines()
        assert client.say("QUIT") == b"+OK Logging out.\r\n"
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(PATIENCE) == 0
    for client in hanging:
        client.close()


def test_a_stuck_user_is_told_so(served: Served) -> None:
    """The login that finds no thread gets a reply that waiting may help, and the log says why."""
    served.add("stuck", "secret")
    clients = [served.connect() for _ in range(3)]
    for client in clients:
        client.read_line()
        client.send(b"USER stuck\r\nPASS secret\r\n")
        client.read_line()
    answered, _, _ = select.select([client.socket for client in clients], [], [], PATIENCE)
    (refused,) = (client for client in clients if client.socket in answered)  # any of the three
    assert refused.read_line() == (
        b"-ERR [SYS/TEMP] The mail store does not answer now, try again later.\r\n"
    )
    told = "the disk does not answer: this user's threads wait for it"
    wait_until(lambda: told in served.log.read_text())
    for client in clients:
        client.close()
