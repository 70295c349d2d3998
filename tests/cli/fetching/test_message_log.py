"""The log of `pop3 fetch --log`. What its lines say is tested with the command."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from restante.cli.fetching.message_log import MessageLog
from restante.fetch.events import MessagesDeleted


def test_rotation(tmp_path: Path) -> None:
    """After another program has renamed the file, lines go to a new one."""
    file, rotated = tmp_path / "log", tmp_path / "log.1"
    log = MessageLog(str(file))
    log.write("ann", "", MessagesDeleted(("1",)))
    file.rename(rotated)
    log.write("ann", "", MessagesDeleted(("2", "3")))
    assert [path.read_text().count("event=deleted") for path in (rotated, file)] == [1, 2]
    assert file.stat().st_mode & 0o777 == 0o600


def test_folder_that_is_gone(tmp_path: Path) -> None:
    """Lines that cannot be written are lost, and the run goes on."""
    folder = tmp_path / "logs"
    folder.mkdir()
    log = MessageLog(str(folder / "log"))
    (folder / "log").unlink()
    folder.rmdir()
    log.write("ann", "", MessagesDeleted(("1",)))
    folder.mkdir()
    log.write("ann", "", MessagesDeleted(("2",)))
    assert "uid=2" in (folder / "log").read_text()


def test_a_line_that_was_cut_off(tmp_path: Path) -> None:
    """A line follows no beginning of another one, which a full disk has cut off in an earlier run."""
    file = tmp_path / "log"
    file.write_text("time=2026-11-30T12:00:00+00:00 event=deli")
    log = MessageLog(str(file))
    for uid in "12":
        log.write("ann", "", MessagesDeleted((uid,)))
    _, first, second = file.read_text().splitlines()
    assert first.startswith("time=")
    assert "uid=1" in first
    assert "uid=2" in second


def test_write_only_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that the user may write and not read has all lines."""

    def refuse(path: str, mode: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    file = tmp_path / "log"
    log = MessageLog(str(file))
    monkeypatch.setattr("restante.cli.fetching.message_log.open", refuse, raising=False)
    for uid in "12":
        log.write("ann", "", MessagesDeleted((uid,)))
    assert len(file.read_text().splitlines()) == 2


def test_pipe(tmp_path: Path) -> None:
    """A pipe that no program reads is an error, and one whose reader stops loses lines only."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(click.UsageError, match="start the program that reads it"):
        MessageLog(str(pipe))
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = MessageLog(str(pipe))
    log.write("ann", "", MessagesDeleted(tuple(map(str, range(2000)))))  # more than it holds
    assert b"uid=0" in os.read(reader, 1024)
    os.close(reader)
    log.write("ann", "", MessagesDeleted(("1",)))
