"""From a maildrop's folders to a snapshot: listed anew, or what changed since the last one."""

from __future__ import annotations

import bisect
import os
import stat
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from restante.protocol.maildrop import Contents
from restante.storage.maildir import names, sizes
from restante.storage.maildir.listing import CUR, NEW, Entry, list_messages
from restante.storage.maildir.snapshots import Snapshot, Stamp

if TYPE_CHECKING:
    from restante.storage.maildir.listing import Folders

FEW = 1000  # changes that are worked into an old snapshot; more are listed anew


def look(root: int, folders: Folders, known: Snapshot | None, folder: str) -> Snapshot:
    """Return what the maildrop in a folder holds now. Raises OSError.

    Its stamp was taken before the look, so a change meanwhile makes it out of date.
    """
    begun = time.time_ns()
    stamp = Stamp.of(root, folders)
    if known is not None and known.stamp == stamp and known.trusted:
        return known
    updated = None
    if known is not None and known.stamp.root == stamp.root and stamp.root_settled(begun):
        updated = _updated(known, stamp, root, folders)
        if Stamp.of(root, folders) != stamp:
            updated = None  # names may have been missed while they moved: look long
    snapshot = updated or _listed(stamp, root, folders)
    return replace(snapshot, folder=folder, trusted=stamp.settled(begun))


def _listed(stamp: Stamp, root: int, folders: Folders) -> Snapshot:
    entries = list_messages(folders)
    octets, exact = sizes.sizes_of(entries, folders, root)
    there = [(e, size) for e, size in zip(entries, octets, strict=True) if size is not None]
    contents = Contents(tuple(size for _, size in there), tuple(entry.uid for entry, _ in there))
    return Snapshot("", stamp, False, tuple(entry for entry, _ in there), contents, exact)  # noqa: FBT003  # not yet


def _updated(known: Snapshot, stamp: Stamp, root: int, folders: Folders) -> Snapshot | None:
    """Return the old snapshot with what was added and removed since; None where that is too much.

    Only names are read: of a hundred thousand messages to which one was added, one is looked at.
    """
    here = {(folder, name) for folder in (NEW, CUR) for name in os.listdir(folders[folder])}
    there = {(entry.folder, entry.name) for entry in known.entries}
    added = [Entry(names.base_name(n), f, n) for f, n in here - there if _is_message(n, folders[f])]
    gone = there - here
    if len(added) + len(gone) > FEW:
        return None
    if gone and any("~" in entry.key for entry in known.entries):
        return None  # copies of one base name: when one goes, the other may take its key
    left = [
        (entry, size, uid)
        for entry, size, uid in zip(
            known.entries, known.contents.sizes, known.contents.uids, strict=True
        )
        if (entry.folder, entry.name) not in gone
    ]
    keys = {entry.key for entry, _, _ in left}
    if len({entry.key for entry in added} | keys) < len(added) + len(keys):
        return None  # two files of one base name: the long look tells them apart
    found, exact = sizes.sizes_of_new(added, folders, root)
    for entry, octets in zip(added, found, strict=True):
        if octets is not None:
            place = bisect.bisect(left, names.order(entry.key), key=lambda e: names.order(e[0].key))
            left.insert(place, (entry, octets, entry.uid))
    contents = Contents(tuple(size for _, size, _ in left), tuple(uid for _, _, uid in left))
    return Snapshot("", stamp, False, tuple(entry for entry, _, _ in left), contents, exact)  # noqa: FBT003  # not yet


def _is_message(name: str, folder: int) -> bool:
    if name.startswith("."):
        return False
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
