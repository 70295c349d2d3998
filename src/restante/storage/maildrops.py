"""The maildrops below a mail folder, whether there is an account for each or not."""

from __future__ import annotations

import os
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from restante.storage.disk_threads import DISK
from restante.storage.errors import StoreError
from restante.storage.fs import as_store_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

    from restante.storage.paths import Layout


def find_places(layout: Layout, report: Callable[[Path, str], None], *, mbox: bool) -> list[Path]:
    """Return the places of all Maildirs, or of all mboxes, that a layout allows, sorted.

    `report` is called with each folder that cannot be read, and why. The others are still found.
    """

    def list_names(folder: Path) -> list[str]:
        try:
            return os.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            report(folder, error.strerror or "it cannot be read")
            return []

    places = _walk(layout.root, Path(layout.template).parts, list_names)
    is_maildrop = _is_mbox if mbox else _is_maildir
    return sorted(place for place in places if is_maildrop(place, report))


async def sweep_maildrops(
    layout: Layout,
    sweep: Callable[[Path], int],
    report: Callable[[str, str], object],
    *,
    most: int,
    place_of: Callable[[str], str] | None = None,
) -> AsyncIterator[int]:
    """Call `sweep` with the place of each maildrop, and yield its results.

    It is called in a thread, and again while it returns `most` or more. With `place_of`, the
    maildrops are those whose name it returns for the name of a file beside them; "" for none.
    `report` is called with a path and a problem. Raises StoreError: the mail folder cannot be read.
    """
    for place in await DISK.run(str(layout.root), partial(_list_places, layout, place_of)):
        done = most
        while done >= most:
            try:
                done = await DISK.run(str(place), partial(sweep, place))
            except StoreError as error:
                report(str(place), str(error))
                break
            yield done


def _list_places(layout: Layout, place_of: Callable[[str], str] | None) -> list[Path]:
    """Return the places where a maildrop may be, junk maildrops included. Raises StoreError."""
    root, places = layout.root, list[Path]()
    list_folders = partial(_list_folders, root)
    with as_store_error("the mail folder cannot be read", root):
        for template in filter(None, (layout.template, layout.junk)):
            parts = Path(template).parts
            if place_of is None:
                places += _walk(root, parts, list_folders)
                continue
            for folder in _walk(root, parts[:-1], list_folders):
                names = map(place_of, _list_files(root, folder))
                places += [folder / name for name in names if name]
    return places


def _list_folders(root: Path, folder: Path) -> list[str]:
    """Return the folders in a folder; none of one that cannot be read, which a login reports.

    Raises OSError: it is the root.
    """
    try:
        with os.scandir(folder) as files:
            return [file.name for file in files if file.is_dir(follow_symlinks=False)]
    except OSError:
        if folder == root:
            raise
        return []


def _list_files(root: Path, folder: Path) -> list[str]:
    """Return the names in a folder, as `_list_folders` does. Raises OSError."""
    try:
        return os.listdir(folder)
    except OSError:
        if folder == root:
            raise
        return []


def _walk(
    folder: Path, parts: Sequence[str], list_names: Callable[[Path], Iterable[str]]
) -> Iterator[Path]:
    """Yield the paths below a folder that fit a template; `list_names` lists a folder on the way.

    No user has a name that begins with a dot. Raises what `list_names` raises.
    """
    if not parts:
        yield folder
        return
    names: Iterable[str] = [parts[0]]
    if "{" in parts[0]:
        names = (name for name in list_names(folder) if not name.startswith("."))
    for name in names:
        yield from _walk(folder / name, parts[1:], list_names)


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
