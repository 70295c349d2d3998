"""A Maildir to which another store is exported, with the unique-ids of that store.

`dovecot-uidlist` has the unique-id of each message, as `pop3_save_uidl` stores it. So Dovecot and
Restante give it, whatever format is configured. `restante.exported` has the messages that were put
into `new`: one that is no longer there was removed here, and does not come back.

The process may be killed between any two steps. The list names a message first, then its file is
written in `tmp`, moved to `new`, and noted. The next run finds the file by the name in the list.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from restante.storage.errors import BusyError, StoreError
from restante.storage.fs import (
    as_store_error,
    make_file,
    open_dir_beneath,
    open_dir_temporarily,
    read_whole,
    write_synced,
)
from restante.storage.maildir import filenames
from restante.storage.maildir.locked_folder import LockedMaildir
from restante.storage.maildir.scan import NEW, list_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from restante.storage.interfaces import StoredMessage
    from restante.storage.paths import Layout

LIST_FILE = "dovecot-uidlist"
NOTES_FILE = "restante.exported"
MAX_OCTETS = 256 * 1024 * 1024  # of each of these files

_HEAD = re.compile(rb"3 (?:.* )?V[0-9]+(?: .*)?")
_LINE = re.compile(rb"(?P<number>[0-9]{1,10})(?: (?P<fields>.*?))? :(?P<base>[^:]+).*", re.DOTALL)


class ListedMessage(NamedTuple):
    """A line of the list, and what it says."""

    number: int  # Dovecot's UID
    uid: str  # the stored unique-id, "" if there is none
    base: str  # the base name of the file
    line: bytes

    @classmethod
    def new(cls, number: int, uid: str, base: str) -> ListedMessage:
        """Return a line for a message that was not listed before."""
        return cls(number, uid, base, f"{number} P{uid} :{base}".encode())

    @property
    def is_ours(self) -> bool:
        """Whether an export has made the name of the file."""
        return f"H{_digest(self.uid)}." in self.base

    @classmethod
    def parse(cls, line: bytes) -> ListedMessage | None:
        """Return what a line says, None if that cannot be understood."""
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        base = os.fsdecode(match["base"])
        fields = (match["fields"] or b"").split(b" ")
        saved = next((field[1:] for field in fields if field.startswith(b"P")), None)
        uid = "" if saved is None else saved.decode("latin-1") or base
        return cls(int(match["number"]), uid, base, line)


class ExportedMaildir:
    """One user's Maildir, locked. All methods block the thread, and raise StoreError."""

    def __init__(self, held: LockedMaildir, folder: str) -> None:
        """Raises OSError, StoreError."""
        self._held = held
        self._folder = folder
        self._head, lines = _read_list(held.root)
        self._list = lines
        self._by_uid = {line.uid: line for line in lines if line.uid}
        self._noted = _read_notes(held.root)  # base names by unique-id
        self._next = max((line.number for line in lines), default=0) + 1
        self._last = max((filenames.delivery_time(line.base) for line in lines), default=0)
        self._there = {entry.key for entry in list_names(held.folders)}

    @classmethod
    def open(cls, layout: Layout, owner: str) -> ExportedMaildir:
        """Lock a user's Maildir, made if it is missing. Raises BusyError, StoreError."""
        folder = layout.folder(owner)
        with as_store_error("a Maildir cannot be opened", folder), contextlib.ExitStack() as undo:
            root = open_dir_beneath(layout.root, folder)
            held = LockedMaildir.take(lambda: open_dir_beneath(layout.root, folder), root)
            if held is None:
                raise BusyError("a session holds the Maildir", path=str(folder))
            undo.callback(held.release)
            held.open()
            exported = cls(held, str(folder))
            exported._prepare()
            undo.pop_all()
            return exported

    @property
    def uids(self) -> Collection[str]:
        """The unique-ids of the messages that were put in, even if they are gone."""
        return self._noted.keys()

    def add(self, messages: Sequence[StoredMessage]) -> None:
        """Put messages in, after those that are there. On return they are durable."""
        with as_store_error("mail cannot be exported", self._folder):
            listed = self._list_all(messages)
            with (
                open_dir_temporarily("tmp", self._held.root) as tmp,
                open_dir_temporarily("new", self._held.root) as new,
            ):
                for message, line in zip(messages, listed, strict=True):
                    if line.base not in self._there:
                        file = make_file(line.base, tmp)
                        write_synced(file, tmp, [message.content], message.arrived)
                        os.rename(line.base, line.base, src_dir_fd=tmp, dst_dir_fd=new)
                        self._there.add(line.base)
                os.fsync(new)
            _append(NOTES_FILE, self._held.root, [_note(line.base, line.uid) for line in listed])
            self._noted.update((line.uid, line.base) for line in listed)

    def remove(self, uids: Collection[str]) -> int:
        """Remove messages that were put in, and return how many went.

        None goes from a Maildir in use: another message came, or one was removed here or moved to
        `cur`.
        """
        with as_store_error("mail cannot be removed", self._folder):
            bases = {self._noted[uid]: uid for uid in uids if uid in self._noted}
            if not bases or self._is_in_use(bases):
                return 0
            gone = bases.keys() & self._there
            for base in gone:
                os.unlink(base, dir_fd=self._held.folders.new)
            self._held.folders.sync()
            self._there -= gone
            self._forget(bases)
            return len(gone)

    def close(self) -> None:
        """Unlock the Maildir."""
        self._held.release()

    def _prepare(self) -> None:
        """Make the two files, or cut off a line that was not written to its end. Raises OSError.

        Raises StoreError: the Maildir is not of an export.
        """
        if not self._noted and self._there - {line.base for line in self._list}:
            raise StoreError("the Maildir contains mail that no export has written", permanent=True)
        self._write_list()
        self._write_notes()

    def _is_in_use(self, removing: Collection[str]) -> bool:
        """Return whether a server or a delivery has changed the Maildir since. Raises OSError.

        A run that was killed may have removed some of the files already.
        """
        names = list_names(self._held.folders)
        present = {entry.key for entry in names}
        noted = set(self._noted.values())
        own_names = noted.union(line.base for line in self._list if line.is_ours)
        moved = any(entry.folder != NEW or entry.name != entry.key for entry in names)
        return moved or not present <= own_names or not noted.difference(removing) <= present

    def _forget(self, bases: Collection[str]) -> None:
        self._noted = {uid: base for uid, base in self._noted.items() if base not in bases}
        self._list = [line for line in self._list if line.base not in bases]
        self._by_uid = {line.uid: line for line in self._list if line.uid}
        self._write_list()
        self._write_notes()

    def _list_all(self, messages: Iterable[StoredMessage]) -> list[ListedMessage]:
        """Return the lines of messages, after new ones were added to the list. Raises OSError."""
        listed, fresh = [], []
        for message in messages:
            line = self._by_uid.get(message.uid)
            if line is None:
                line = ListedMessage.new(self._next, message.uid, self._new_base(message))
                self._next += 1
                fresh.append(line)
            listed.append(line)
        _append(LIST_FILE, self._held.root, [line.line for line in fresh])
        self._list += fresh
        self._by_uid.update((line.uid, line) for line in fresh)
        return listed

    def _new_base(self, message: StoredMessage) -> str:
        """Return a base name. Names sort in the order of the messages, as servers list them.

        So a message that came earlier than the one before has the time of that one in its name.
        """
        self._last = max(self._last, int(message.arrived))
        size = f"S={len(message.content)},W={message.octets}"
        return f"{self._last}.R{self._next:010}H{_digest(message.uid)}.restante,{size}"

    def _write_list(self) -> None:
        _replace(LIST_FILE, self._held.root, [self._head, *(line.line for line in self._list)])

    def _write_notes(self) -> None:
        notes = (_note(base, uid) for uid, base in self._noted.items())
        _replace(NOTES_FILE, self._held.root, notes)


def _read_list(maildrop: int) -> tuple[bytes, list[ListedMessage]]:
    """Return the head of the list, and its lines. Raises OSError, StoreError."""
    head, *lines = _read_lines(LIST_FILE, maildrop) or [b"3 V%d N1" % time.time()]
    if not _HEAD.fullmatch(head):
        raise StoreError(f"{LIST_FILE} is of a version that is not supported", permanent=True)
    return head, [line for line in map(ListedMessage.parse, lines) if line is not None]


def _read_notes(maildrop: int) -> dict[str, str]:
    """Return the base names of exported messages by unique-id. Raises OSError."""
    pairs = (os.fsdecode(line).partition(" ") for line in _read_lines(NOTES_FILE, maildrop))
    return {uid: base for base, _, uid in pairs if uid}


def _digest(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:12]


def _note(base: str, uid: str) -> bytes:
    return f"{base} {uid}".encode()


def _read_lines(name: str, maildrop: int) -> list[bytes]:
    """Return the lines of a file, without one that was not written to its end. Raises OSError."""
    try:
        return read_whole(name, maildrop, MAX_OCTETS).split(b"\n")[:-1]
    except FileNotFoundError:
        return []


def _append(name: str, maildrop: int, lines: Sequence[bytes]) -> None:
    """Add lines to a file, durably. Raises OSError."""
    if lines:
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(name, flags, dir_fd=maildrop), "ab") as file:
            file.writelines(_with_ends(lines))
            file.flush()
            os.fsync(file.fileno())


def _replace(name: str, maildrop: int, lines: Iterable[bytes]) -> None:
    """Write a file anew, durably. Raises OSError."""
    new_name = f"{name}.new"
    try:
        write_synced(make_file(new_name, maildrop), maildrop, _with_ends(lines))
        os.rename(new_name, name, src_dir_fd=maildrop, dst_dir_fd=maildrop)
    except OSError:
        with contextlib.suppress(OSError):  # a full disk needs the room
            os.unlink(new_name, dir_fd=maildrop)
        raise
    os.fsync(maildrop)


def _with_ends(lines: Iterable[bytes]) -> Iterator[bytes]:
    return (line + b"\n" for line in lines)
