"""The stores that faults are tried on: each as a mail program, not as Restante, sees it."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from protocol import reference
from restante.storage.interfaces import Store
from restante.storage.maildir import MaildirStore
from restante.storage.paths import Layout

OWNER = "ann"
LONG_AGO = 1_500_000_000  # seconds: folders that changed then are settled


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that is there before a scenario begins. No two have the same octets."""

    octets: bytes
    wire_size: Literal["right", "none", "wrong"] = "right"  # what its name says of it
    seen: bool = False
    age: Literal["", "old", "new"] = ""  # by which it expires, or not
    linked: bool = False  # its file has a second name, as when a program that moves it was killed


@dataclass(frozen=True, slots=True)
class Lasting:
    """Calls by which something changes that must outlast a power cut, and on which names."""

    ops: frozenset[str]
    names: re.Pattern[str]
    first: str = ""  # the file that must last before any other is written


class Box(Protocol):
    """One kind of store, below a folder."""

    format: str  # as the configuration calls it
    lock: str  # the file by which a session keeps others out; without it there may be two
    a_file_each: bool  # whose names may say sizes: perhaps wrong ones, perhaps none
    removes_without_names: bool  # on a disk on which no file can be made
    removes_when_full: bool  # on a disk that has no room
    removals: Lasting  # what must last when QUIT is granted
    deliveries: Lasting  # what must last when a delivery is

    def store(self, root: Path) -> Store:
        """Return what the server uses."""

    def fill(self, root: Path, letters: Sequence[Letter]) -> None:
        """Put letters in, as other programs do."""

    def messages(self, files: Mapping[str, bytes]) -> list[bytes]:
        """Return the messages that these files hold, named from the root."""

    def stored(self, message: bytes) -> bytes:
        """Return a message as `messages` returns it once it is there."""

    def put(self, root: Path, message: bytes) -> None:
        """Deliver a message, as another program does."""

    def change(self, root: Path, message: bytes, how: str) -> None:
        """Change the flags or names of a message, as another program does.

        `how`: "flag", or with `a_file_each` "link", "add" (link under a new base name), "rename"
        (to a base name with a field more), or "rebase" (to another base name).
        """

    def restored(self, root: Path) -> None:
        """Put right what names an inode: files were made anew as they were."""


class Maildir:
    """A file a message."""

    format = "maildir"
    lock = f"{OWNER}/restante.lock"
    a_file_each = True
    removes_without_names = True
    removes_when_full = True
    removals = Lasting(frozenset({"unlink"}), re.compile(f"{OWNER}/(new|cur)/.*"))
    # the sum of a quota need not last: the times of the folders show that it is old; nor need the
    # sizes, which are counted anew
    deliveries = Lasting(
        frozenset({"write", "mkdir", "rename", "link"}),
        re.compile(r"(?!.*restante\.(usage|sizes)).*"),
    )

    def store(self, root: Path) -> Store:
        return MaildirStore(Layout(root))

    def fill(self, root: Path, letters: Sequence[Letter]) -> None:
        if not letters:
            return
        folder = root / OWNER
        _make(folder)
        (folder / "restante.lock").touch()
        for number, letter in enumerate(letters, 1):
            came = int(time.time()) if letter.age == "new" else number
            name = f"{came}.M{number}P1.host"
            if letter.wire_size != "none":
                right = reference.size(letter.octets)
                name += f",W={right if letter.wire_size == 'right' else right + 7}"
            place = f"cur/{name}:2,S" if letter.seen else f"new/{name}"
            (folder / place).write_bytes(letter.octets)
            if letter.age == "old":
                os.utime(folder / place, (LONG_AGO, LONG_AGO))
            if letter.linked:
                os.link(folder / place, folder / f"cur/{name}:2,F")
        for place in ("new", "cur", "."):
            os.utime(folder / place, (LONG_AGO, LONG_AGO))

    def messages(self, files: Mapping[str, bytes]) -> list[bytes]:
        places = tuple(f"{OWNER}/{part}/" for part in ("new", "cur"))
        return [octets for name, octets in files.items() if name.startswith(places)]

    def stored(self, message: bytes) -> bytes:
        return message

    def put(self, root: Path, message: bytes) -> None:
        _make(root / OWNER)
        name = f"{time.time():.0f}.M{time.time_ns() % 10**9}P1.other"
        (root / OWNER / "tmp" / name).write_bytes(message)
        os.rename(root / OWNER / "tmp" / name, root / OWNER / "new" / name)

    def change(self, root: Path, message: bytes, how: str) -> None:
        _make(root / OWNER)
        for name, octets in files(root).items():
            if octets == message and name.startswith((f"{OWNER}/new/", f"{OWNER}/cur/")):
                base, _, flags = os.path.basename(name).partition(":2,")
                new = (
                    root
                    / OWNER
                    / "cur"
                    / NEW_NAMES[how].format(
                        base=base,
                        flags="FS" if flags == "S" else "S",
                        time=base.partition(".")[0],
                        number=time.time_ns(),
                    )
                )
                with contextlib.suppress(FileExistsError):
                    (os.link if how in ("link", "add") else os.rename)(root / name, new)

    def restored(self, root: Path) -> None:
        pass


NEW_NAMES = {
    "flag": "{base}:2,{flags}",
    "link": "{base}:2,T{flags}",
    "add": "{base},U={number}:2,",
    "rename": "{base},U={number}:2,{flags}",
    "rebase": "{time}.R{number}.other:2,{flags}",
}


def _make(maildir: Path) -> None:
    for part in ("tmp", "new", "cur"):
        (maildir / part).mkdir(parents=True, exist_ok=True)


def files(root: Path) -> dict[str, bytes]:
    """Return all files below a folder with what they hold; a message in a Maildir has one name."""
    found = {}
    met: set[int] = set()
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.parent.name in ("new", "cur"):
                inode = path.lstat().st_ino
                if inode in met:
                    continue
                met.add(inode)
            octets = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            found[str(path.relative_to(root))] = octets
    return found
