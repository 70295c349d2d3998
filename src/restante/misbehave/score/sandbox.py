"""The folder of one run: the client's home, its temporary files and its mail, and nothing else."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from restante.misbehave.catalogue.listing import EVIL_FAULT, EVIL_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEPTH = "1/2/3/4"  # below the top, so that ../../../.. does not lead out of it
FOLDERS = ("home", "mail", "temporary", "work")
MAILDIR = ("cur", "new", "tmp")
MAX_READ = 64 * 1024 * 1024  # octets of one file
UNFINISHED = (".part", ".tmp")  # names of files that are not mail yet
OWN_SETTINGS = ("POP3_", "XDG_", "RESTANTE_")  # in the environment of the user


class Sandbox:
    """A folder for one run, removed at the end of a `with` block.

    `fault` is the name of the fault. Runs at others do not search the folder of temporary files.
    """

    def __init__(self, fault: str = "") -> None:
        self._searches_elsewhere = EVIL_FAULT in fault
        self._top = Path(tempfile.mkdtemp(prefix="score-"))
        self._folder = self._top / DEPTH
        for name in FOLDERS:
            (self._folder / name).mkdir(parents=True)
        for name in MAILDIR:
            (self.mail / name).mkdir()
        self._before = self._elsewhere()

    @property
    def mail(self) -> Path:
        """Where the client is to store mail: an empty Maildir."""
        return self._folder / "mail"

    @property
    def work(self) -> Path:
        """The client's working directory."""
        return self._folder / "work"

    @property
    def environment(self) -> Mapping[str, str]:
        """The client's environment."""
        variables = {
            name: value for name, value in os.environ.items() if not name.startswith(OWN_SETTINGS)
        }
        home, temporary = str(self._folder / "home"), str(self._folder / "temporary")
        return variables | {"HOME": home, "TMPDIR": temporary, "MAIL": str(self.mail)}

    def read_mail(self) -> dict[str, bytes]:
        """Return the files with mail, by their paths below the folder for it.

        A file in a folder `tmp`, or with a name in `.tmp` or `.part`, is not stored yet.
        """
        by_path: dict[str, bytes] = {}
        for path in _files(self.mail):
            relative_path = path.relative_to(self.mail)
            if "tmp" not in relative_path.parts[:-1] and relative_path.suffix not in UNFINISHED:
                with path.open("rb") as file:
                    by_path[str(relative_path)] = file.read(MAX_READ)
        return by_path

    def find_outside(self) -> list[str]:
        """Return the paths of files outside the folders of the run."""
        inside = tuple(self._folder / name for name in FOLDERS)
        within = [path for path in _files(self._top) if not any(map(path.is_relative_to, inside))]
        return sorted(map(str, [*within, *(self._elsewhere() - self._before)]))

    def _elsewhere(self) -> set[Path]:
        """Return the files that escape through a unique-id with a path to /tmp."""
        names = Path("/tmp").glob(f"{EVIL_NAME}*") if self._searches_elsewhere else ()  # noqa: S108
        return {path for path in names if path.is_file()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for path in self._elsewhere() - self._before:
            path.unlink(missing_ok=True)
        shutil.rmtree(self._top, ignore_errors=True)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
