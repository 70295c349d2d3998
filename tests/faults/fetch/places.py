"""Where a program delivers to in a trial, seen from outside."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from restante.storage.mbox import MboxStore
from restante.storage.paths import Layout
from storage.contract import everything


class Place(Protocol):
    """A destination of its own for each trial.

    Attributes:
        name: for tables.
        url: what `to` of `pop3 fetch` has.
        most_doubles: what the contract allows after one kill.
    """

    name: str
    most_doubles: int

    @property
    def url(self) -> str: ...

    def reset(self) -> None:
        """Make it empty for the next trial."""

    def messages(self) -> list[bytes]:
        """Return all that has arrived, in any order."""

    def between(self) -> None:
        """Do what others do between the kill and the next run."""


class Maildir:
    """A Maildir in a folder of the trials' own."""

    name = "Maildir"
    most_doubles = 0

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def url(self) -> str:
        return f"maildir:{self.path}"

    def reset(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        for part in ("", "tmp", "new", "cur"):
            (self.path / part).mkdir()

    def messages(self) -> list[bytes]:
        found = (path for part in ("new", "cur") for path in (self.path / part).iterdir())
        return [path.read_bytes() for path in found]

    def between(self) -> None:
        pass


class ReadMaildir(Maildir):
    """A Maildir whose reader files all new mail away between the kill and the next run."""

    name = "Maildir, with a reader"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._archive = Maildir(path.with_name(f"{path.name}-archive"))

    def reset(self) -> None:
        super().reset()
        self._archive.reset()

    def messages(self) -> list[bytes]:
        return super().messages() + self._archive.messages()

    def between(self) -> None:
        for path in (self.path / "new").iterdir():
            path.rename(self._archive.path / "cur" / f"{path.name}:2,S")


class Mbox:
    """An mbox, read by Restante's store."""

    name = "mbox"
    most_doubles = 0

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def url(self) -> str:
        return f"mbox:{self._folder}/ann"

    def reset(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()

    def messages(self) -> list[bytes]:
        found = asyncio.run(everything(MboxStore(Layout(self._folder)), "ann"))
        return list(found.values())

    def between(self) -> None:
        pass


class Pipe:
    """A command that writes a message into a file of its own, and renames that at the end."""

    name = "pipe"
    most_doubles = 1

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def url(self) -> str:
        new = f"{self._folder}/$$"
        return f"pipe:cat > {new}.part && mv {new}.part {new}.whole"

    def reset(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()

    def messages(self) -> list[bytes]:
        return [path.read_bytes() for path in self._folder.glob("*.whole")]

    def between(self) -> None:
        pass


Opening = Callable[[Path], contextlib.AbstractContextManager[Place]]


def _ready(make: Callable[[Path], Place]) -> Opening:
    """Return a place that needs no server."""
    return lambda folder: contextlib.nullcontext(make(folder))


PLACES: Mapping[str, Opening] = {
    "maildir": _ready(lambda folder: Maildir(folder / "Mail")),
    "maildir-reader": _ready(lambda folder: ReadMaildir(folder / "Mail")),
    "mbox": _ready(lambda folder: Mbox(folder / "mbox")),
    "pipe": _ready(lambda folder: Pipe(folder / "pipe")),
}
"""What opens a place in a folder."""
