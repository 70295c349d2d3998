"""One log for several processes."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import pytest

from restante.server.limits.process_lock import ProcessLock
from restante.server.log import event_log
from restante.server.log.event_log import LogWriter
from support.live import wait_until
from support.workers import value, working

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of other threads

PATIENCE = 60  # seconds; then a process ends whatever it waits for


def test_log_lines_stay_whole() -> None:
    """Lines of several processes stay whole, even beyond the 4096 octets that a pipe writes at
    once.
    """
    read, write = os.pipe()
    turn = ProcessLock()
    pids = [_fork_writer(write, turn, letter) for letter in "abc"]
    os.close(write)
    with open(read) as pipe:
        lines = pipe.read().splitlines()
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 3
    assert sorted(lines) == sorted(letter * 9000 for letter in "abc" for _ in range(100))


def _fork_writer(file: int, turn: ProcessLock, letter: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.alarm(PATIENCE)
        writer = LogWriter(open(file, "w"), str, turn)  # noqa: SIM115
        writer.begin()
        for _ in range(100):
            writer.write(letter * 9000)
        writer.close(PATIENCE)
        os._exit(0)
    finally:
        os._exit(1)


def test_blocked_line_is_counted() -> None:
    """Without a thread, a line that would have to wait is lost and counted."""
    read, write = os.pipe()
    with open(read) as pipe, open(write, "w") as file:
        writer = LogWriter(file, "lost {}".format)
        writer.patience = 0
        for _ in range(1000):
            writer.write("x" * 999)
        os.set_blocking(read, False)
        written = len(os.read(read, 1_000_000).splitlines())
        assert 0 < written < 1000
        writer.write("at last")
        assert pipe.read() == f"at last\nlost {1000 - written}\n"


def test_no_wait_for_other_process(tmp_path: Path) -> None:
    """Without a thread, a line does not wait until another process has written."""
    turn = ProcessLock()
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        turn.after_fork()
        turn.acquire(0)
        os.write(write, b".")
        signal.alarm(PATIENCE)
        signal.pause()
    os.read(read, 1)
    written = tmp_path / "log"
    with written.open("w") as file:
        writer = LogWriter(file, "lost {}".format, turn)
        writer.patience = 0
        writer.write("a line")
        assert written.read_text() == ""
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        writer.write("another")
    assert written.read_text() == "another\nlost 1\n"
    os.close(read)
    os.close(write)


def test_each_line_tells_its_process(tmp_path: Path) -> None:
    """With workers, each log line has the number of its process."""
    with working(tmp_path) as workers:
        with workers.greeted() as client:
            worker = workers.pid_of(client)
            client.say("QUIT")
        wait_until(lambda: [line for line in workers.events("session") if "end=quit" in line])
        assert value(workers.events("session")[-1], "pid") == str(worker)
        assert value(workers.events("listening")[0], "pid") == str(workers.served.process.pid)


def test_one_process_alone_does_not_tell_which_it_is() -> None:
    """Without workers, log lines have no process number."""
    log, writer = event_log.configure_log("text", lines := io.StringIO())
    log.info("session")
    writer.close()
    assert "pid=" not in lines.getvalue()
