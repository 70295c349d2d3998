"""All maildrops below a mail folder, whether there is an account or not, for a sweep."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from restante.storage.disk_threads import DISK
from restante.storage.fs import as_store_error
from restante.storage.interfaces import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from restante.storage.paths import Layout


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
    for place in await DISK.run(str(layout.root), partial(_find, layout, place_of)):
        done = most
        while done >= most:
            try:
                done = await DISK.run(str(place), partial(sweep, place))
            except StoreError as error:
                report(str(place), str(error))
                break
            yield done


def _find(layout: Layout, place_of: Callable[[str], str] | None) -> list[Path]:
    """Return the places where a maildrop may be, junk maildrops included. Raises StoreError."""
    templates = filter(None, (layout.template, layout.junk))
    with as_store_error("the mail folder cannot be read", layout.root):
        found = [list(_below(layout.root, Path(t).parts, place_of)) for t in templates]
    return [place for places in found for place in places]


def _below(
    folder: Path, parts: Sequence[str], place_of: Callable[[str], str] | None
) -> Iterator[Path]:
    """Yield the paths below a folder that a template may mean. Raises OSError: it is unreadable."""
    part, *rest = parts
    if not rest and place_of is not None:
        yield from (folder / place for name in os.listdir(folder) if (place := place_of(name)))
        return
    for name in _names(folder, part):
        if not rest:
            yield folder / name
            continue
        with contextlib.suppress(OSError):  # a login reports it
            yield from _below(folder / name, rest, place_of)


def _names(folder: Path, part: str) -> list[str]:
    """Return the names of folders that a part of a template may mean. Raises OSError."""
    if "{" not in part:
        return [part]
    with os.scandir(folder) as files:
        return [file.name for file in files if file.is_dir(follow_symlinks=False)]
