"""Problems of files that several processes read are logged once."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture

from restante.auth.file.accounts import FileAuthenticator
from restante.auth.interfaces import UnavailableError
from restante.auth.locked_names import LockedNames
from restante.server.limits.shared_table import SharedTimestamps
from restante.server.log.file_problems import FileProblems
from support.passwords import quick_hash
from support.workers import log_in, working

GOOD = f"ann:{quick_hash(b'secret')}"


class Readers:
    """Two processes with one log, which read the same files."""

    def __init__(self, folder: Path) -> None:
        self.users, self.locks = folder / "users", folder / "locks"
        self.users.touch(0o600)
        self.users.write_text(f"{GOOD}\nbad:x\n")
        self.locks.write_text("bad:line\n")
        self._capture = LogCapture()
        log = structlog.wrap_logger(None, processors=[self._capture])
        reported = SharedTimestamps(100)
        problems = [FileProblems(log, reported) for _ in range(2)]
        self._files = [
            made
            for each in problems
            for made in (
                FileAuthenticator(
                    self.users,
                    each.make_loggers(self.users)[0],
                    alarm=each.make_loggers(self.users)[1],
                ),
                LockedNames(self.locks, *each.make_loggers(self.locks)),
            )
        ]

    def read(self) -> list[str]:
        """Let both processes read all files, and return what is logged."""
        for file in self._files:
            try:
                file.refresh()
            except UnavailableError:
                continue
        found = [f"{each['log_level']} {each['problem']}" for each in self._capture.entries]
        self._capture.entries.clear()
        return found


@pytest.fixture
def readers(tmp_path: Path) -> Readers:
    return Readers(tmp_path)


def test_first_reader_logs(readers: Readers) -> None:
    """A fault of a file is logged once by all processes, and not again at each change."""
    first = readers.read()
    assert [line.split(":")[1] for line in first] == ["2", "1"]
    assert readers.read() == []
    readers.users.write_text(f"{GOOD}\nbad:x\nworse:x\n")
    (line,) = readers.read()
    assert ":3: 'worse' cannot log in" in line


def test_fault_that_comes_back(readers: Readers) -> None:
    """A fault that was corrected is logged when it comes back."""
    before = readers.read()
    readers.users.write_text(f"{GOOD}\n")
    assert readers.read() == []
    readers.users.write_text(f"{GOOD}\nbad:x\n")
    assert readers.read() == before[:1]


def test_alarm(readers: Readers) -> None:
    """A file that cannot be used is one error each time that it goes wrong."""
    readers.read()
    for time in range(2):
        moved = readers.users.rename(readers.users.with_suffix(".away"))
        os.utime(moved.parent, (time, time))  # a kernel's clock has steps of some milliseconds
        (line,) = readers.read()
        assert line.startswith(f"error {readers.users}: No such file")
        moved.rename(readers.users)
        assert readers.read() == []


def test_workers(tmp_path: Path) -> None:
    """Of two workers, one logs a bad line."""
    with working(tmp_path) as workers:
        workers.served.add("ann", "secret")
        with workers.served.users.open("a") as users:
            users.write("bad:x\n")
        with ExitStack() as stack:
            for client in workers.at_each(stack, workers.greeted).values():
                log_in(client, "nobody")
        workers.wait_for("login_failed", times=2)  # which each logs after the bad line
        text = workers.served.log.read_text()
        assert text.count("'bad' cannot log in") == 1
