"""The journal: what was fetched of each account, and what may have been delivered.

It is a database of SQLite. Each change is durable when its method returns. A file beside it
for each account shows that the account had a journal: without its rows, all mail would come twice.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import time
from typing import TYPE_CHECKING, Self

from restante.durable_folders import make_private_folder
from restante.fetch.account_journal import AccountJournal
from restante.fetch.account_lock import file_name
from restante.fetch.errors import FetchError, NothingNotedError
from restante.fetch.journal_clock import find_least_time
from restante.fetch.journal_rows import AccountRuns
from restante.file_kinds import exists
from restante.input_files import require_file
from restante.system_errors import describe, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

LOST = "fetch-journal"
UNUSABLE = "journal-unusable"
"""Verdicts: what was noted is gone, or cannot be reached now."""
WAIT = 30.0  # seconds for another account's write
PAUSE = 0.02  # seconds between two tries of what does not wait by itself

_SCHEMA = """
CREATE TABLE account (
    name TEXT PRIMARY KEY, first_run REAL NOT NULL, last_run REAL, outcome TEXT,
    approximate_sizes INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE message (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL REFERENCES account, uid TEXT NOT NULL,
    state TEXT NOT NULL, first_seen REAL NOT NULL, changed REAL NOT NULL, size INTEGER,
    octets INTEGER, sha256 TEXT, header_sha256 TEXT, message_id TEXT,
    tries INTEGER NOT NULL DEFAULT 0, next_try REAL NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '', UNIQUE (account, uid)
) STRICT;
CREATE TABLE delivery (
    message INTEGER NOT NULL REFERENCES message ON DELETE CASCADE, destination TEXT NOT NULL,
    token TEXT NOT NULL, here INTEGER NOT NULL, PRIMARY KEY (message, destination)
) STRICT, WITHOUT ROWID;
"""
_IMPORTED = """
CREATE TABLE imported (
    mailbox TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, noted REAL NOT NULL,
    PRIMARY KEY (mailbox, name, digest)
) STRICT, WITHOUT ROWID;
"""
_DESCRIPTION = """
ALTER TABLE message ADD COLUMN sender TEXT NOT NULL DEFAULT '';
ALTER TABLE message ADD COLUMN subject TEXT NOT NULL DEFAULT '';
"""
_NEXT_RUN = "ALTER TABLE account ADD COLUMN next_run REAL"
_CLOCK = """
ALTER TABLE account ADD COLUMN latest_run REAL;
ALTER TABLE account ADD COLUMN set_back REAL;
UPDATE account SET latest_run = last_run
"""
_STAYS = """
ALTER TABLE message ADD COLUMN stays INTEGER NOT NULL DEFAULT 0;
UPDATE message SET stays = 1 WHERE state = 'known' AND size IS NOT NULL
"""
"""Rows of imports have no size."""
_VERSIONS = (_SCHEMA, _IMPORTED, _DESCRIPTION, _NEXT_RUN, _CLOCK, _STAYS)
"""The statements that each version of the schema has added."""

_PRIMARY = 0xFF  # the part of SQLite's codes that says the kind of an error
_OWNERS = "check its owner and its permissions, and those of its folder"
_REMEDIES: Mapping[int, str] = {
    sqlite3.SQLITE_BUSY: "end the other program that has it open",
    sqlite3.SQLITE_CANTOPEN: _OWNERS,
    sqlite3.SQLITE_FULL: "free some space",
    sqlite3.SQLITE_IOERR: "check the disk",
    sqlite3.SQLITE_NOMEM: "free some memory",
    sqlite3.SQLITE_PERM: _OWNERS,
    sqlite3.SQLITE_PROTOCOL: "end the other program that has it open",
    sqlite3.SQLITE_READONLY: _OWNERS,
}
"""Remedies for the errors that do not mean a damaged file, by the kind."""
_UNEXPLAINED = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}


class Journal:
    """The database, with a part for each account. Its methods raise FetchError."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open the journal at `path`, made if it is missing, with mode 0600 in a folder of 0700.

        `clock` returns the seconds since 1970, and `pause` waits a number of seconds.
        """
        self.path = path
        self.clock = clock
        self._pause = pause
        with self.errors():
            make_private_folder(path.parent)  # after a power cut, all mail would come twice
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            require_file(path)
            self.database = sqlite3.connect(path, timeout=WAIT, isolation_level=None)
            try:
                self._prepare_database()
            except BaseException:
                self.database.close()
                raise

    def _prepare_database(self) -> None:
        self._write_ahead()
        self.database.execute("PRAGMA synchronous = FULL")
        self.database.execute("PRAGMA foreign_keys = ON")
        with self.transaction():
            version = self.database.execute("PRAGMA user_version").fetchone()[0]
            if version > len(_VERSIONS):
                text = f"{self.path} was written by a newer version of Restante; update this one"
                raise FetchError(UNUSABLE, text)
            for added in _VERSIONS[version:]:
                for statement in added.split(";"):
                    self.database.execute(statement)
            if version < len(_VERSIONS):
                self.database.execute(f"PRAGMA user_version = {len(_VERSIONS)}")

    def _write_ahead(self) -> None:
        """Choose the write-ahead log. SQLite does not wait here for another run that begins."""
        for left in range(round(WAIT / PAUSE), -1, -1):
            try:
                self.database.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or not left:
                    raise
                self._pause(PAUSE)
            else:
                return

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors of the database and of the disk into FetchError."""
        try:
            yield
        except sqlite3.Error as error:
            kind = NothingNotedError if _is_unwritten(error) else FetchError
            raise kind(_id_of(error), f"{self.path}: {_explain(error, self.path)}") from None
        except OSError as error:
            raise FetchError(UNUSABLE, describe(error, self.path)) from None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Make all changes of the block durable at its end, or none of them.

        Raises NothingNotedError: the disk is full. After other errors they may be durable.
        """
        with self.errors():
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield self.database
                self.database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # the disk may be full
                    self.database.execute("ROLLBACK")
                raise

    def open_account(self, account: str, *, begin: bool = False) -> AccountJournal:
        """Return the part of an account.

        With `begin` an account may begin anew. Raises FetchError: it had a journal before, and has
        no rows here.
        """
        mark = self.path.parent / "fetch" / f"{file_name(account)}.{self.path.name}.begun"
        with self.errors():
            cursor = self.database.execute("SELECT 1 FROM account WHERE name = ?", (account,))
            if cursor.fetchone() is None and exists(mark) and not begin:
                text = f"{self.path} has nothing of {account}, which had a journal before"
                raise FetchError(LOST, text)
        with self.transaction() as database:
            now = self.clock()
            database.execute(
                "INSERT OR IGNORE INTO account (name, first_run) VALUES (?, ?)", (account, now)
            )
            least = find_least_time(database, account, now)
        with self.errors():  # after the row: a run that is killed before it leaves no false mark
            mark.parent.mkdir(mode=0o700, exist_ok=True)
            if not exists(mark):
                mark.touch(mode=0o600)
        return AccountJournal(self, account, least)

    def accounts(self) -> list[AccountRuns]:
        """Return what is known of the runs of each account, in the order of the names."""
        with self.errors():
            columns = ", ".join(AccountRuns._fields)
            rows = self.database.execute(f"SELECT {columns} FROM account ORDER BY name")  # noqa: S608  # the names of fields
            return [AccountRuns(*row) for row in rows]

    def close(self) -> None:
        """Close the database. It raises nothing."""
        with contextlib.suppress(sqlite3.Error):
            self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_unwritten(error: sqlite3.Error) -> bool:
    """Return whether an error means that a write failed.

    Then the end of a transaction is not in the file: it is the last that is written. An error of a
    sync proves nothing.
    """
    return _code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0)  # errors of Python's own module have none


def _id_of(error: sqlite3.Error) -> str:
    """Return the verdict: a journal that is only out of reach must not be begun anew."""
    return UNUSABLE if _code(error) & _PRIMARY in _REMEDIES else LOST


def _explain(error: sqlite3.Error, path: Path) -> str:
    """Return why a call of SQLite failed, and what to do. SQLite does not say why a disk failed."""
    kind = _code(error) & _PRIMARY
    number = errno.ENOSPC if kind == sqlite3.SQLITE_FULL else 0
    if kind in _UNEXPLAINED:
        number = _find_cause(path)
    if number:
        return explain(OSError(number, os.strerror(number)))
    remedy = _REMEDIES.get(kind)
    return f"{error}; {remedy}" if remedy else str(error)


def _find_cause(path: Path) -> int:
    """Return what the disk of a journal lacks as the number of an error, 0 for nothing."""
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return 0
    if disk.f_flag & os.ST_RDONLY:
        return errno.EROFS
    return errno.ENOSPC if not disk.f_bavail or (disk.f_files and not disk.f_favail) else 0


def has_journal(path: Path) -> bool:
    """Return whether there is a journal. Raises FetchError: it is a pipe, or out of reach."""
    try:
        require_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise FetchError(UNUSABLE, describe(error, path)) from None
    return True


def move_damaged(path: Path) -> Path | None:
    """Rename a journal that SQLite cannot read, and return its new name; None: it is readable."""
    if not has_journal(path):
        return None
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            verdict = database.execute("PRAGMA quick_check").fetchone()
            database.execute("SELECT count(*) FROM account")
            if verdict == ("ok",):
                return None
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise FetchError(_id_of(error), f"{path}: {_explain(error, path)}") from None
        return None
    except sqlite3.DatabaseError:
        pass
    moved = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    os.rename(path, moved)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return moved
