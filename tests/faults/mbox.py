"""An mbox as a mail program, not as Restante, sees it: one that uses record locks, no dotlocks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from faults.promise import BreachError
from faults.stores import OWNER, Lasting, Letter
from restante.storage.interfaces import Store
from restante.storage.mbox import MboxStore, maildrop, store
from restante.storage.paths import Layout

JOURNAL = f".{OWNER}.restante.journal"
MOVE = f".{OWNER}.restante.move"

_FROM = b"From bob@example.com Fri Jul 14 02:40:00 2017\n"
_FROM_LINE = re.compile(rb"^(From \S+ [A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9:]{16}\n)", re.MULTILINE)
_MAYBE_ANOTHERS = re.compile(rb"From [^\n]* [0-9]{4}\n")
_ADDED = re.compile(rb"^(?:X-Restante-Mbox|Status): .*\n", re.MULTILINE)
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


class Mbox:
    """A file with all messages."""

    format = "mbox"
    lock = f".{OWNER}.restante"
    a_file_each = False
    removes_without_names = False
    removes_when_full = True
    removals = Lasting(frozenset({"write", "rename"}), re.compile(OWNER))
    deliveries = Lasting(
        frozenset({"write", "rename", "create", "unlink"}),
        re.compile(f"{OWNER}|{re.escape(JOURNAL)}"),
        JOURNAL,
    )

    def store(self, root: Path) -> Store:
        for module in (store, maildrop):
            vars(module)["PATIENCE"] = 1.0  # no lock is held for long here
        return MboxStore(Layout(root))

    def fill(self, root: Path, letters: Sequence[Letter]) -> None:
        if letters:
            status = {True: b"Status: RO\n", False: b""}
            texts = (
                (_from_line() if letter.age == "new" else _FROM)
                + status[letter.seen]
                + self.stored(letter.octets)
                for letter in letters
            )
            (root / OWNER).write_bytes(b"".join(text + b"\n" for text in texts))

    def messages(self, files: Mapping[str, bytes]) -> list[bytes]:
        octets = _moved(files.get(OWNER, b""), files.get(MOVE, b""))
        journal = re.match(rb"([0-9]+) ([0-9]+)\n", files.get(JOURNAL, b""))
        if journal and 0 < len(octets) - int(journal[1]) <= int(journal[2]):
            octets, added = octets[: int(journal[1])], octets[int(journal[1]) :]
            if _MAYBE_ANOTHERS.search(added.lstrip(b"\n"), 1):
                octets += added  # else its delivery was not confirmed, and will be cut off
        return split(octets)

    def stored(self, message: bytes) -> bytes:
        return message if message.endswith(b"\n") else message + b"\n"

    def put(self, root: Path, message: bytes) -> None:
        with _locked(root / OWNER) as file:
            file.seek(0, os.SEEK_END)
            file.write(_FROM + self.stored(message) + b"\n")

    def change(self, root: Path, message: bytes, how: str) -> None:
        assert how == "flag"
        with _locked(root / OWNER) as file:
            parts = _FROM_LINE.split(file.read())
            for place in range(2, len(parts), 2):
                if _message(parts[place]) == self.stored(message):
                    parts[place] = _flagged(parts[place])
            file.seek(0)
            file.write(b"".join(parts))
            file.truncate()

    def restored(self, root: Path) -> None:
        move = root / MOVE
        if move.is_symlink():
            _, rest = os.readlink(move).split(" ", 1)
            move.unlink()
            move.symlink_to(f"{(root / OWNER).stat().st_ino:x} {rest}")


def _from_line() -> bytes:
    """Return the line before a message that came now."""
    return f"From bob@example.com {time.ctime()}\n".encode()


def split(octets: bytes) -> list[bytes]:
    """Return the messages of an mbox."""
    return [_message(text) for text in _FROM_LINE.split(octets)[2::2]]


def _moved(octets: bytes, move: bytes) -> bytes:
    """Return an mbox as it will be once a removal in place is finished."""
    if not move:
        return octets
    place, gap, end = (int(number, 16) for number in move.split()[1:4])
    if place + gap == end > len(octets):  # it was cut already
        return octets
    return octets[:place] + octets[place + gap :]


def _message(text: bytes) -> bytes:
    header, end, body = text.removesuffix(b"\n").partition(b"\n\n")
    return _ADDED.sub(b"", header + b"\n")[:-1] + end + _QUOTED.sub(rb"\1", body)


def _flagged(text: bytes) -> bytes:
    header, end, body = text.partition(b"\n\n")
    if b"\nStatus: O" in header:
        return header.replace(b"\nStatus: O", b"\nStatus: RO") + end + body
    return header.replace(b"\nStatus: RO", b"") + b"\nStatus: O" + end + body


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Open an mbox that no other program writes to; create it if it is missing."""
    while True:
        with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            _lock(file)
            if os.fstat(file.fileno()).st_nlink:
                yield file
                file.flush()
                return


def _lock(file: BinaryIO) -> None:
    """Lock a file. Raises BreachError: a server that does nothing keeps it locked."""
    for _ in range(100):
        with contextlib.suppress(BlockingIOError):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.01)
    raise BreachError("the mbox stays locked")
