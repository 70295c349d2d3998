"""Mail whose text follows from its name, and the account of what became of each message.

A process that plays clients can be killed at any point. It notes a delivery after it is done, and
a removal before it sends QUIT: a message that is missing on disk without such a note is lost.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from restante.storage.maildir.lock import try_lock

LINE = b"..and so on, until the cows come home, and some of them came late.\n"
SMALL, BIG = 30, 12_000  # lines: some 2 KiB, and 800 KiB

_count = itertools.count()


def text(name: str) -> bytes:
    """Return the message that a name stands for, as it is stored."""
    subject = name.partition(",W=")[0]  # W= is the size of all that
    return f"From: ann@example.com\nSubject: {subject}\n\n".encode() + LINE * _lines(name)


def on_wire(name: str) -> bytes:
    """Return the same as a client has it in the end."""
    return text(name).replace(b"\n", b"\r\n")


def _lines(name: str) -> int:
    return int(name.partition("L")[2].partition(",")[0])


def deliver(maildir: Path, lines: int) -> str:
    """Put a message into a Maildir as a delivery agent does, and return its unique-id."""
    number = next(_count)
    name = f"{1_700_000_000 + number}.P{os.getpid()}Q{number}L{lines},soak"
    if number % 2:
        name += f",W={len(on_wire(name))}"
    written = maildir / "tmp" / name
    written.write_bytes(text(name))
    written.rename(maildir / "new" / name)
    return name


class Ledger:
    """The record of one process, on disk before anything else happens."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, what: str, user: str, *names: str) -> None:
        """Write a line for each name, in one go."""
        lines = "".join(f"{what} {user} {name}\n" for name in names)
        os.write(self._file, lines.encode())


@dataclass
class Account:
    """All ledgers together."""

    delivered: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    asked: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    removed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    sessions: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Account:
        """Read the ledgers in a folder; a last line that a kill cut off says nothing."""
        account = cls()
        for path in sorted(folder.glob("*.ledger")):
            for line in path.read_text().splitlines(keepends=True):
                if line.endswith("\n"):
                    account._enter(*line[:-1].split(" ", 2))
        return account

    def _enter(self, what: str, user: str, name: str) -> None:
        match what:
            case "session":
                self.sessions[name] += 1
            case "problem":
                self.problems.append(f"{user}: {name}")
            case "delivered" | "asked" | "removed":
                getattr(self, what)[user].add(name)

    def wrongs(self, mail: Path) -> Iterator[str]:
        """Yield, in words, each message that is lost, changed, or there though it was removed."""
        for user, delivered in self.delivered.items():
            there = dict(messages(mail / user))
            for name in delivered - there.keys() - self.asked[user]:
                yield f"{user} lost {name}"
            for name in self.removed[user] & there.keys():
                yield f"{user} still has {name}, whose removal was confirmed"
            for name, path in there.items():
                if path.read_bytes() != text(name):
                    yield f"{user} has {name} changed"


def messages(maildir: Path) -> Iterator[tuple[str, Path]]:
    """Yield the unique-id and the file of each message."""
    for folder in ("new", "cur"):
        for path in (maildir / folder).iterdir():
            yield path.name.partition(":")[0], path


def locked(maildirs: Iterable[Path]) -> list[str]:
    """Return the names of the maildrops that are still locked."""
    held = []
    for maildir in maildirs:
        folder = os.open(maildir, os.O_RDONLY | os.O_DIRECTORY)
        lock = try_lock(folder)
        if lock is None:
            held.append(maildir.name)
        else:
            os.close(lock)
        os.close(folder)
    return held
