"""Log entries in the journal of systemd, by its native protocol."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from structlog.typing import FilteringBoundLogger

from restante.server.log import event_log, journal
from support.live import PATIENCE


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Return the socket of a journal."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(str(tmp_path / "journal"))
        opened.settimeout(PATIENCE)
        monkeypatch.setattr(journal, "SOCKET", str(tmp_path / "journal"))
        yield opened


@pytest.fixture(params=["text", "json"])
def form(request: pytest.FixtureRequest) -> event_log.Format:
    """The form of the lines."""
    return cast("event_log.Format", request.param)


@pytest.fixture
def opened(
    tmp_path: Path,
    entries: socket.socket,  # the journal to connect to
    form: event_log.Format,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[FilteringBoundLogger, event_log.LogWriter]]:
    """Return a log whose file is connected to the journal."""
    with (tmp_path / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        yield event_log.configure_log(form, stream, threaded=False)


def parse(entry: bytes) -> dict[str, str]:
    """Return the fields of an entry, as the journal reads them."""
    fields = {}
    while entry:
        name, separator, rest = entry.partition(b"\n")
        if b"=" in name:
            name, _, value = name.partition(b"=")
        else:
            length = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + length], rest[8 + length :]
            assert rest[:1] == separator
            rest = rest[1:]
        fields[name.decode()] = value.decode()
        entry = rest
    return fields


def test_fields(
    tmp_path: Path,
    entries: socket.socket,
    form: event_log.Format,
    opened: tuple[FilteringBoundLogger, event_log.LogWriter],
) -> None:
    """An entry has the line as its message, a priority, and a field for each key."""
    log, writer = opened
    log.warning("login_failed", user="ann", address="192.0.2.1", message="forged", priority=0)
    log.error("incident", what="a\nb=c", **{"_uid": 0, "odd-key": "ü"})
    log.info("session", user="bob")
    writer.close()
    first, second, third = (parse(entries.recv(65_536)) for _ in range(3))
    assert first.items() >= {"EVENT": "login_failed", "USER": "ann", "PRIORITY": "4"}.items()
    assert first["ADDRESS"] == "192.0.2.1"
    assert first["SYSLOG_IDENTIFIER"] == "pop3"
    assert ("level=warning event=login_failed user=ann" in first["MESSAGE"]) == (form == "text")
    assert first["MESSAGE"].startswith("{") == (form == "json")
    assert (second["WHAT"], second["UID"], second["ODD_KEY"]) == ("a\nb=c", "0", "ü")
    assert (second["PRIORITY"], third["PRIORITY"], third["USER"]) == ("3", "6", "bob")
    assert (tmp_path / "stream").read_text() == ""


def test_a_long_value_is_cut(
    entries: socket.socket, opened: tuple[FilteringBoundLogger, event_log.LogWriter]
) -> None:
    """A field has the length that a value in a line has, and no entry is too long to be sent."""
    log, writer = opened
    log.warning("trouble", error="x" * 1_000_000)
    log.error("incident", exception="y" * 1_000_000)
    writer.close()
    first, second = (parse(entries.recv(1_000_000)) for _ in range(2))
    assert first["ERROR"] == f"{'x' * event_log.LONGEST_VALUE}... (1000000 characters)"
    assert second["EXCEPTION"] == "y" * event_log.LONGEST_TRACE


def test_new_journal(tmp_path: Path) -> None:
    """After a restart of the journal's socket, entries go to the new one."""
    address = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as first:
        first.bind(address)
        log = journal.JournalSocket(address)
    assert log.writelines(["A=1\n", "A=2\n"]) == 2
    os.unlink(address)
    assert log.writelines(["A=3\n"]) == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as second:
        second.bind(address)
        assert log.writelines(["A=4\n", "A=5\n"]) == 0
        assert [second.recv(10), second.recv(10)] == [b"A=4\n", b"A=5\n"]
    log.close()


def test_entry_that_is_too_long(tmp_path: Path) -> None:
    """An entry that the journal does not accept keeps no other from it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(str(tmp_path / "journal"))
        log = journal.JournalSocket(str(tmp_path / "journal"))
        assert log.writelines(["A=1\n", "A=" + "x" * 10_000_000, "A=2\n"]) == 1
        assert [opened.recv(10), opened.recv(10)] == [b"A=1\n", b"A=2\n"]
        log.close()


@pytest.mark.parametrize("stream", ["", "0:0", "nothing"])
def test_stderr_is_not_the_journal(
    tmp_path: Path, entries: socket.socket, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    """Where standard error was redirected, lines go there."""
    monkeypatch.setenv("JOURNAL_STREAM", stream)
    with (tmp_path / "file").open("w") as file:
        assert journal.connect_journal(file) is None
    entries.setblocking(False)
    with pytest.raises(BlockingIOError):
        entries.recv(1)


def test_no_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that does not run leaves the log on standard error."""
    monkeypatch.setattr(journal, "SOCKET", str(tmp_path / "nowhere"))
    with (tmp_path / "file").open("w") as file:
        status = os.fstat(file.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        assert journal.connect_journal(file) is None
