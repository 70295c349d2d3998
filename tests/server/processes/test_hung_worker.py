"""A worker that stands still is replaced, and a supervisor that stood still kills none."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import process
from support.live import wait_until
from support.workers import Workers, working

PROGRAM = """#!{python}
from restante.cli.main import main
from restante.server.processes import supervisor, worker

worker.BEAT = supervisor.BEAT = 0.5
supervisor.LONGEST_SILENCE = 3.0
main()
"""


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """Return workers whose supervisor has less patience."""
    program = tmp_path / "pop3"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr(process, "POP3", program)
    with working(tmp_path) as running:
        wait_until(lambda: len(running.started()) == 2)
        yield running


def test_worker_that_stands_still(workers: Workers) -> None:
    """The supervisor kills it, and starts another one."""
    first, second = workers.started()
    os.kill(second, signal.SIGSTOP)
    workers.wait_for("worker_hangs")
    wait_until(lambda: len(workers.alive()) == 2 and second not in workers.alive())
    assert first in workers.alive()
    assert f"worker={second}" in workers.events("worker_hangs")[0]
    assert "status=SIGKILL" in workers.events("worker_ended")[0]
    with workers.greeted():
        pass


def test_all_stand_still(workers: Workers) -> None:
    """After a pause of all processes, as on a frozen machine, no worker is killed."""
    pids = [workers.served.process.pid, *workers.started()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: all(_state(pid) == "T" for pid in pids))
    time.sleep(3.5)  # longer than the longest silence
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    with workers.greeted():
        pass
    assert not workers.events("worker_hangs")
    assert workers.alive() == pids[1:]


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
