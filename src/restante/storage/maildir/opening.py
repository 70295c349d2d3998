"""From a maildrop's folders to a snapshot: listed anew, or what changed since the last one."""

from __future__ import annotations

import bisect
import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from restante.protocol.maildrop import Contents
from restante.storage.maildir import names, sizes
from restante.storage.maildir.listing import CUR, NEW, Entry, list_messages
from restante.storage.maildir.snapshot import Snapshot, Stamp, sizes_changed
from restante.storage.maildir.uidlist import naming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.storage.maildir.held import Held
    from restante.storage.maildir.uidlist import UniqueIds

FEW = 1000  # changes that are worked into an old snapshot; more are listed anew


class Found(NamedTuple):
    """What a maildrop holds."""

    entries: tuple[Entry, ...]
    contents: Contents
    exact: bool  # all sizes are right


def look(
    held: Held, known: Snapshot | None, folder: str, others: UniqueIds | None = None
) -> Snapshot:
    """Return what the maildrop in a folder holds now. Raises OSError.

    With `others`, messages in another server's list have the unique-ids that it gave.

    The stamp of its folders was taken before the look, so a change meanwhile makes it out of date;
    that of the file of sizes after it, since the look itself may have written it.
    """
    begun = time.time_ns()
    list_file = others.list_file if others else None
    stamp = Stamp.of(held.root, uidlist=list_file)
    if known is not None and known.stamp == stamp and known.trusted:
        return known
    updated = None
    if known is not None and known.stamp.sizes == stamp.sizes and known.still_names(stamp):
        updated = _updated(known, stamp, held, others)
        now = Stamp.of(held.root, uidlist=list_file)
        if now._replace(sizes=stamp.sizes) != stamp:
            updated = None  # names may have been missed while they moved: look long
    entries, contents, exact = updated or _listed(held, others)
    stamp = stamp._replace(sizes=sizes_changed(held.root))
    return Snapshot(folder, stamp, begun, entries, contents, exact)


def _listed(held: Held, others: UniqueIds | None) -> Found:
    unique_id = naming(others, held.root)
    entries: Sequence[Entry] = list_messages(held.folders)
    octets: Sequence[int | None]
    octets, exact = sizes.sizes_of(entries, held)
    if None in octets:  # some vanished meanwhile
        there = [(e, size) for e, size in zip(entries, octets, strict=True) if size is not None]
        entries, octets = [e for e, _ in there], [size for _, size in there]
    contents = Contents(tuple(octets), tuple(unique_id(e.key) for e in entries))  # type: ignore[arg-type]
    return Found(tuple(entries), contents, exact)


def _updated(known: Snapshot, stamp: Stamp, held: Held, others: UniqueIds | None) -> Found | None:
    """Return what was known with what changed since; None where that is not to be told.

    Of a hundred thousand messages to which one was added, only the names in its folder are read.
    """
    added: list[Entry] = []
    gone = [frozenset[str](), frozenset[str]()]
    for folder in (NEW, CUR):
        if not known.still_holds(folder, stamp):
            fresh, gone[folder] = _changes(known.names(folder), held.folders[folder])
            added += [Entry(names.base_name(name), folder, name) for name in fresh]
    if len(added) + len(gone[NEW]) + len(gone[CUR]) > FEW:
        return None
    entries, octets, uids = known.columns()
    if gone[NEW] or gone[CUR]:
        if any(entry.inode for entry in entries):
            return None  # copies of one base name: when one goes, the other may take its key
        left = [i for i, entry in enumerate(entries) if entry.name not in gone[entry.folder]]
        entries, octets, uids = known.columns(left)
    found, exact = sizes.sizes_of_new(added, entries, held)
    unique_id = naming(others if added else None, held.root)
    for entry, size in zip(added, found, strict=True):
        place = bisect.bisect_left(entries, names.order(entry.key), key=_order)
        if place < len(entries) and entries[place].key == entry.key:
            return None  # two files of one base name: the long look tells them apart
        if size is not None:
            entries.insert(place, entry)
            octets.insert(place, size)
            uids.insert(place, unique_id(entry.key))
    return Found(tuple(entries), Contents(tuple(octets), tuple(uids)), exact)


def _changes(known: frozenset[str], folder: int) -> tuple[list[str], frozenset[str]]:
    """Return the names of messages that are in a folder but were not known, and the reverse."""
    here = os.listdir(folder)
    fresh = [name for name in here if name not in known]
    all_there = len(here) - len(fresh) == len(known)
    missing = frozenset[str]() if all_there else known.difference(here)
    return [name for name in fresh if _is_message(name, folder)], missing


def _order(entry: Entry) -> str:
    return names.order(entry.key)


def _is_message(name: str, folder: int) -> bool:
    if name.startswith("."):
        return False
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
