"""A log file that gets whole lines, on a full disk and a pipe, too."""

from __future__ import annotations

import fcntl
import io
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from restante.server.log.line_file import LineFile

LINE = "event=session user=ann fill=" + "x" * 60 + "\n"


def limited(most: int, write: Callable[[], int]) -> int:
    """Write to files that may have this many octets, as on a disk that is full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        return write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("lines", [1, 3, 300])
@pytest.mark.parametrize("more", [0, 1, len(LINE) - 1, len(LINE), len(LINE) + 5])
def test_full_disk(tmp_path: Path, lines: int, more: int) -> None:
    """A line that a full disk has cut off is completed, and the others are counted as lost."""
    path = tmp_path / "log"
    with path.open("a") as file:
        log = LineFile(file)
        assert log.writelines([LINE]) == 0
        lost = limited(len(LINE) + more, lambda: log.writelines([LINE] * lines))
        lost += limited(len(LINE) + more, lambda: log.writelines([LINE]))
        assert log.writelines([LINE]) == 0
    written = path.read_text().splitlines(keepends=True)
    assert set(written) == {LINE}
    assert len(written) + lost == lines + 3


def test_pipe_that_does_not_block(tmp_path: Path) -> None:
    """A program that shares standard error may have set it so that a write does not wait."""
    end, pipe = os.pipe()
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(pipe, False)
    with open(pipe, "w") as file, open(end, "rb", buffering=0) as reader:
        log = LineFile(file)
        lost = log.writelines([LINE] * 100)
        assert lost > 0
        beginning = reader.read(4096)
        assert log.writelines([LINE]) == 0
        text = (beginning + reader.read(4096)).decode()
    assert text == LINE * (101 - lost)


def test_encoding(tmp_path: Path) -> None:
    """A character that the file cannot have is escaped, so no line is lost."""
    path = tmp_path / "log"
    with path.open("w", encoding="ascii") as file:
        assert LineFile(file).writelines(["user=\u00fc\n", "user=\udcff\n"]) == 0
    assert path.read_text() == "user=\\xfc\nuser=\\udcff\n"


def test_closed_file(tmp_path: Path) -> None:
    """After the end of its file, lines are lost, and go into no other file."""
    file = (tmp_path / "log").open("w")
    log = LineFile(file)
    file.close()
    with (tmp_path / "other").open("w"):
        assert log.writelines([LINE, LINE]) == 2
    assert (tmp_path / "other").read_text() == ""


def test_file_in_memory() -> None:
    """A file without a descriptor is written by its own methods."""
    file = io.StringIO()
    assert LineFile(file).writelines([LINE, LINE]) == 0
    assert file.getvalue() == LINE * 2
