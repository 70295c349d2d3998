"""The services of a process: they run before its first session, and until its last one."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from support.command import pop3
from support.live import PATIENCE, wait_until
from support.process import serving

BIG = b"Subject: big\n\n" + b"0123456789abcde\n" * 500_000


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sessions_during_stop(tmp_path: Path, workers: str) -> None:
    """Administrators see the session for which a stop waits, with workers and without."""
    file = tmp_path / "restante.toml"
    file.write_text('[control]\nfolder = "control"\n')
    with serving(tmp_path, "--config", file, "--workers", workers) as served:
        served.add("ann", "secret", BIG)
        with served.connect() as client:
            client.log_in("ann", "secret")
            client.say("RETR 1")
            served.process.send_signal(signal.SIGTERM)
            wait_until(lambda: "event=stopping connections=" in served.log.read_text())
            ran = pop3("sessions", "--json", "--control", tmp_path / "control")
            assert [json.loads(line)["user"] for line in ran.out.splitlines()] == ["ann"]
            client.read_all()
        assert served.process.wait(PATIENCE) == 0
