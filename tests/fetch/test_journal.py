"""The journal: durable, private, and missed where it is lost."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import stat
from pathlib import Path

import pytest

from restante.fetch import account_journal
from restante.fetch.account_journal import GAPS
from restante.fetch.account_lock import lock_account
from restante.fetch.errors import FetchError
from restante.fetch.journal import WAIT, Journal, has_journal, move_damaged
from restante.fetch.journal_rows import NEVER, MessageState
from support.small_disks import fill, make_read_only, small_disk


def test_private(tmp_path: Path) -> None:
    """Only its owner may read the journal and its folder."""
    path = tmp_path / "state" / "fetch.db"
    with Journal(path) as journal:
        journal.open_account("work")
    modes = [stat.S_IMODE(place.stat().st_mode) for place in (path, path.parent)]
    assert modes == [0o600, 0o700]


def test_begun_at_once(tmp_path: Path) -> None:
    """A run that begins while another one makes the journal waits for it."""
    path = tmp_path / "fetch.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        paused: list[float] = []

        def pause(seconds: float) -> None:
            paused.append(seconds)
            if len(paused) == 3:
                other.execute("COMMIT")

        with Journal(path, pause=pause) as journal:
            journal.open_account("work")
        assert len(paused) == 3
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(FetchError, match=r"journal-unusable: .* locked; end the other program"):
            Journal(path, pause=paused.append)
        assert 10 < sum(paused) <= WAIT + 1


def test_lost(tmp_path: Path) -> None:
    """Where an account had a journal and has none, nothing begins anew by itself."""
    path = tmp_path / "fetch.db"
    with Journal(path) as journal:
        journal.open_account("work")
    for file in tmp_path.glob("fetch.db*"):
        file.unlink()
    with Journal(path) as journal:
        with pytest.raises(FetchError, match=r"fetch-journal.* work, which had a journal before"):
            journal.open_account("work")
        journal.open_account("other")
        journal.open_account("work", begin=True)
        journal.open_account("work")


def test_first_run_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first run that is killed leaves nothing that looks like a lost journal."""
    path = tmp_path / "fetch.db"
    for step in ("touch", "mkdir"):
        with Journal(path) as journal, monkeypatch.context() as patch:
            patch.setattr(Path, step, _killed)
            with pytest.raises(KeyboardInterrupt):
                journal.open_account("work")
    with Journal(path) as journal:
        assert journal.open_account("work").messages() == {}


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_damaged(tmp_path: Path) -> None:
    """A damaged journal is an error, and is kept under another name where a user begins anew."""
    path = tmp_path / "fetch.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(FetchError, match="fetch-journal"):
        Journal(path)
    moved = move_damaged(path)
    assert moved is not None
    assert moved.read_bytes().startswith(b"no database")
    with Journal(path) as journal:
        journal.open_account("work", begin=True)
    assert move_damaged(path) is None


def test_damaged_but_readable(tmp_path: Path) -> None:
    """A journal that SQLite opens, and in which it finds a fault, counts as damaged."""
    path = tmp_path / "fetch.db"
    with Journal(path) as journal:
        journal.open_account("work")
    assert move_damaged(path) is None
    with path.open("r+b") as file:
        file.seek(36)  # where the header counts the free pages
        file.write(b"\0\0\0\5")
    assert move_damaged(path) is not None


def test_newer_version(tmp_path: Path) -> None:
    """A journal of a newer version is left alone."""
    path = tmp_path / "fetch.db"
    with Journal(path) as journal:
        journal.database.execute("PRAGMA user_version = 99")
    with pytest.raises(FetchError, match=r"journal-unusable: .* newer version"):
        Journal(path)


def test_out_of_reach(tmp_path: Path) -> None:
    """A journal whose file or folder cannot be opened is not called lost."""
    folder = tmp_path / "fetch.db"
    folder.mkdir()
    with pytest.raises(FetchError, match=r"journal-unusable: .* Is a directory"):
        Journal(folder)
    path = tmp_path / "other.db"
    with Journal(path) as journal:
        journal.database.execute("PRAGMA query_only = ON")
        with pytest.raises(FetchError, match=r"journal-unusable: .* check its owner"):
            journal.open_account("work")


def test_pipe(tmp_path: Path) -> None:
    """A pipe in place of the journal is named; SQLite would report a broken disk."""
    path = tmp_path / "fetch.db"
    os.mkfifo(path)
    for use in (Journal, has_journal, move_damaged):
        with pytest.raises(FetchError, match=rf"journal-unusable: {path}: it is a pipe; name a "):
            use(path)


def test_full_disk(tmp_path: Path) -> None:
    """SQLite reports a full disk as an I/O error if its own helper file cannot grow."""
    with small_disk(tmp_path / "disk") as disk:
        with Journal(disk / "fetch.db") as journal:
            journal.open_account("work")
        fill(disk)
        with pytest.raises(FetchError, match=r"journal-unusable: .* free some space"):
            Journal(disk / "fetch.db")
        (disk / "filler").unlink()
        with Journal(disk / "fetch.db") as journal:
            assert journal.accounts() != []


def test_failure_within_a_transaction(tmp_path: Path) -> None:
    """A transaction that fails changes nothing, and the next one begins."""
    with Journal(tmp_path / "fetch.db") as journal:
        journal.open_account("work")
        with pytest.raises(RuntimeError), journal.transaction() as database:
            database.execute("DELETE FROM account")
            raise RuntimeError
        journal.open_account("home")
        assert {row.name for row in journal.accounts()} == {"work", "home"}


def test_gaps(tmp_path: Path) -> None:
    """The gaps between the tries of a parked message grow, and have a limit."""
    with Journal(tmp_path / "fetch.db", lambda: 1000.0) as journal:
        account = journal.open_account("work")
        gaps = []
        for _ in range(5):
            account.park("u1", 10, "no")
            gaps.append(account.messages()["u1"].next_try - 1000)
    assert gaps == [*GAPS, GAPS[-1], GAPS[-1]]


def test_known(tmp_path: Path) -> None:
    """Messages of another program are known, with the times of their first sight; twice is once."""
    with Journal(tmp_path / "fetch.db", lambda: 1000.0) as journal:
        account = journal.open_account("work")
        assert account.note_known([("u1", None, 5.0), ("u2", 7, None)], stay=False) == 2
        assert account.note_known([("u1", None, 9.0)], stay=False) == 0
        rows = account.messages()
    assert [(rows[uid].state, rows[uid].first_seen) for uid in ("u1", "u2")] == [
        (MessageState.KNOWN, 5.0),
        (MessageState.KNOWN, 1000.0),
    ]


def test_next_run(tmp_path: Path) -> None:
    """The journal has when the next run begins, until it is known that there is none."""
    with Journal(tmp_path / "fetch.db", lambda: 1000.0) as journal:
        account = journal.open_account("work")
        account.end_run("ok")
        account.note_next_run(1300.0)
        assert journal.accounts() == [("work", 1000.0, "ok", 1300.0)]
        account.note_next_run(None)
        assert journal.accounts() == [("work", 1000.0, "ok", None)]


def test_an_older_journal(tmp_path: Path) -> None:
    """A journal of an earlier version of the schema gets what it lacks, and keeps its rows."""
    path = tmp_path / "fetch.db"
    with Journal(path) as journal:
        journal.open_account("work").note_known([("u1", 1, None)], stay=False)
        for column in ("next_run", "latest_run", "set_back"):
            journal.database.execute(f"ALTER TABLE account DROP COLUMN {column}")
        journal.database.execute("ALTER TABLE message DROP COLUMN stays")
        journal.database.execute("PRAGMA user_version = 3")
    with Journal(path) as journal:
        assert set(journal.open_account("work").messages()) == {"u1"}
        assert journal.accounts() == [("work", None, None, None)]


def test_marked_messages_of_an_older_journal(tmp_path: Path) -> None:
    """Messages that were marked as fetched stay; those of imports have no sizes."""
    path = tmp_path / "fetch.db"
    with Journal(path) as journal:
        account = journal.open_account("work")
        account.note_known([("marked", 1, None), ("imported", None, None)], stay=False)
        journal.database.execute("ALTER TABLE message DROP COLUMN stays")
        journal.database.execute("PRAGMA user_version = 5")
    with Journal(path) as journal:
        account = journal.open_account("work")
        assert {row.uid: row.stays for row in account.rows()} == {"marked": 1, "imported": 0}
        seen = {uid: first_seen for uid, _, _, first_seen in account.outlines()}
        assert seen["imported"] < NEVER < seen["marked"]


def test_rename(tmp_path: Path) -> None:
    """Unique-ids may be exchanged with each other."""
    with Journal(tmp_path / "fetch.db") as journal:
        account = journal.open_account("work")
        account.note_known([("u1", 1, None), ("u2", 2, None)], stay=False)
        account.rename([("u1", "u2"), ("u2", "u1")])
        assert {uid: row.size for uid, row in account.messages().items()} == {"u1": 2, "u2": 1}


def test_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock of the first run makes the journal's folder for its user alone, durably."""
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.readlink(f"/dev/fd/{file}")))
    folder = tmp_path / "restante" / "fetch"
    with lock_account(folder, "work"):
        modes = [each.stat().st_mode & 0o777 for each in (folder.parent, folder)]
    assert modes == [0o700, 0o700]
    assert synced == [str(tmp_path), str(folder.parent)]


def test_lock(tmp_path: Path) -> None:
    """A second run of an account is rejected, with the process that holds the lock."""
    with lock_account(tmp_path, "work"):
        with pytest.raises(FetchError, match=r"fetch-busy: work: in use by process \d+ since"):
            with lock_account(tmp_path, "work"):
                raise AssertionError
        with lock_account(tmp_path, "other"):
            pass
    with lock_account(tmp_path, "work"):
        pass


def test_lock_without_holder(tmp_path: Path) -> None:
    """A lock's file with other contents, or none yet, names no process."""
    with lock_account(tmp_path, "work"):
        for contents in ("", "1 99999999999999999999\n", "a b\n"):
            (tmp_path / "work.lock").write_text(contents)
            with pytest.raises(FetchError, match="fetch-busy: work: in use by another process"):
                with lock_account(tmp_path, "work"):
                    raise AssertionError


def test_read_only_disk(tmp_path: Path) -> None:
    """On a disk that is mounted read-only, each part of the state says so."""
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "fetch.db"
        with Journal(path) as journal:
            journal.open_account("work")
        make_read_only(disk)
        said = r"journal-unusable: {}: Read-only file system; mount the disk writable"
        for name in ("work", "other"):
            lock = disk / "fetch" / f"{name}.lock"
            with pytest.raises(FetchError, match=said.format(lock)):
                with lock_account(disk / "fetch", name):
                    raise AssertionError
        with pytest.raises(FetchError, match=said.format(path)):
            Journal(path)
        with pytest.raises(FetchError, match=said.format(path)):
            move_damaged(path)


def test_file_in_place_of_a_folder(tmp_path: Path) -> None:
    """The error names the file that is in the way, and not the journal."""
    (tmp_path / "fetch").touch()
    with Journal(tmp_path / "fetch.db") as journal:
        with pytest.raises(FetchError, match=f"journal-unusable: {tmp_path}/fetch: File exists"):
            journal.open_account("work")
    with pytest.raises(FetchError, match=f"journal-unusable: {tmp_path}/fetch: File exists"):
        with lock_account(tmp_path / "fetch", "work"):
            raise AssertionError


def test_no_numbered_placeholders() -> None:
    """Placeholders have no number: Python 3.14 rejects `?1` with a sequence of values."""
    modules = Path(account_journal.__file__).parent.glob("*.py")
    numbered = {m.name: re.findall(r"\?\d", m.read_text()) for m in modules}
    assert "account_journal.py" in numbered
    assert not any(numbered.values()), numbered
