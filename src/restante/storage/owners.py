"""Which users have a maildrop below a mail folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from restante.storage.paths import Layout


def find_places(layout: Layout, report: Callable[[Path, str], None], *, mbox: bool) -> list[Path]:
    """Return the places of all Maildirs, or of all mboxes, that a layout allows, sorted.

    `report` is called with each folder that cannot be read, and why. The others are still found.
    """
    places = _places(layout.root, Path(layout.template).parts, report)
    is_maildrop = _is_mbox if mbox else _is_maildir
    return sorted(place for place in places if is_maildrop(place, report))


def _places(
    folder: Path, parts: Sequence[str], report: Callable[[Path, str], None]
) -> Iterator[Path]:
    """Yield the names below a folder that fit the rest of a template."""
    if not parts:
        yield folder
        return
    if "{" not in parts[0]:
        yield from _places(folder / parts[0], parts[1:], report)
        return
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        report(folder, error.strerror or "it cannot be read")
        return
    for name in names:
        if not name.startswith("."):
            yield from _places(folder / name, parts[1:], report)


def _is_maildir(place: Path, report: Callable[[Path, str], None]) -> bool:
    return stat.S_ISDIR(_mode(place / "new", report))


def _is_mbox(place: Path, report: Callable[[Path, str], None]) -> bool:
    return not place.name.endswith(".lock") and stat.S_ISREG(_mode(place, report))


def _mode(path: Path, report: Callable[[Path, str], None]) -> int:
    """Return the type of a file, 0 for one that is missing or cannot be examined."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        report(path, error.strerror or "it cannot be examined")
        return 0
