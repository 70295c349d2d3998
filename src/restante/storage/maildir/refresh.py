"""From a maildrop's folders to a snapshot: listed anew, or what changed since the last one."""

from __future__ import annotations

import bisect
import contextlib
import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from restante.protocol.server.maildrop import MessageList
from restante.storage.fs import scan_folder
from restante.storage.maildir import filenames, size_cache
from restante.storage.maildir.identity import describe_foreign, fingerprint_of, may_be_message
from restante.storage.maildir.scan import (
    CUR,
    MAX_SCANS,
    NEW,
    MaildirEntry,
    list_messages,
    relocate,
)
from restante.storage.maildir.snapshot import FolderStamp, MaildirSnapshot, sizes_changed
from restante.storage.maildir.uidlist import uid_function
from restante.storage.snapshot_cache import CLOCK_GRANULARITY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from restante.storage.maildir.identity import Fingerprint
    from restante.storage.maildir.locked_folder import LockedMaildir
    from restante.storage.maildir.scan import Folders
    from restante.storage.maildir.uidlist import UniqueIds

FEW = 1000  # changes that are worked into an old snapshot; more are listed anew


class Reports(NamedTuple):
    """Functions that a scan calls with a problem of a Maildir, and its remedy."""

    unused_list: Callable[[str], None] = lambda _: None  # another server's list of unique-ids
    foreign_files: Callable[[str], None] = lambda _: None  # that are not listed as messages


NO_REPORTS = Reports()


class ScanResult(NamedTuple):
    """The messages of a maildrop, as a scan found them."""

    entries: tuple[MaildirEntry, ...]
    contents: MessageList
    exact: bool  # all sizes are right
    fingerprints: Mapping[int, Fingerprint]  # of the files that were examined
    plain: bool = True  # each file has one name, and no two have one base name


def refresh(
    held: LockedMaildir,
    cached: MaildirSnapshot | None,
    folder: str,
    unique_ids: UniqueIds | None = None,
    reports: Reports = NO_REPORTS,
) -> MaildirSnapshot:
    """Return the present snapshot of the maildrop in a folder. Raises OSError.

    With `unique_ids`, messages in another server's list have the unique-ids that it gave.

    The stamp of its folders is read before the scan, so that a change meanwhile makes it out of
    date. That of the file of sizes is read after it, since the scan itself may write the file.
    """
    begun = time.time_ns()
    list_file = unique_ids.list_file if unique_ids else None
    stamp = FolderStamp.read(held.root, uidlist=list_file)
    if cached is not None and cached.stamp == stamp and cached.trusted:
        return cached
    settled = stamp.new.is_old(begun) and stamp.cur.is_old(begun)
    updated = None
    if cached is not None and cached.stamp.sizes == stamp.sizes and cached.still_names(stamp):
        with contextlib.suppress(OSError):  # of one file: the full scan shows it all the same
            updated = update(cached, stamp, held, unique_ids, reports)
        now = FolderStamp.read(held.root, uidlist=list_file)
        if now._replace(sizes=stamp.sizes) != stamp:
            updated = None  # names may have been missed while they moved: scan all
    entries, contents, exact, fingerprints, plain = updated or list_anew(
        held, unique_ids, reports, settled=settled
    )
    stamp = stamp._replace(sizes=sizes_changed(held.root))
    if settled:  # no file has changed its name just now
        fingerprints = {}
    return MaildirSnapshot(
        folder, stamp, begun, entries, contents, exact, plain, held.owner, fingerprints
    )


def list_anew(
    held: LockedMaildir,
    unique_ids: UniqueIds | None,
    reports: Reports,
    *,
    settled: bool,
) -> ScanResult:
    """List all messages without what was known before. Raises OSError."""
    entries, octets, exact = _measure(
        list_messages(held.folders, held.owner, reports.foreign_files), held
    )
    keys = [entry.key for entry in entries]  # the list of unique-ids is read later: it has all
    unique_id = uid_function(unique_ids, held.root, reports.unused_list, keys)
    contents = MessageList(tuple(octets), tuple(map(unique_id, keys)))
    fingerprints = {} if settled else dict(_identities(entries, held.folders))
    plain = not any(entry.others or entry.shared_base for entry in entries)
    return ScanResult(tuple(entries), contents, exact, fingerprints, plain)


def _measure(
    entries: list[MaildirEntry], held: LockedMaildir
) -> tuple[list[MaildirEntry], list[int], bool]:
    """Return messages with their octets, and whether these are exact. Raises OSError.

    One whose name has gone is searched for, since a mail program may be marking all mail as read.
    """
    octets, exact = size_cache.sizes_of(entries, held)
    for _ in range(MAX_SCANS):
        places = [place for place, size in enumerate(octets) if size is None]
        if not places:
            break
        now = relocate([entries[place] for place in places], held.folders)
        if len(now.gone) == len(places):
            break
        sizes = size_cache.sizes_of_new(now.entries, entries, held)
        exact = exact and sizes.exact
        for place, entry, size in zip(places, now.entries, sizes.octets, strict=True):
            entries[place], octets[place] = entry, size
    present = [(e, size) for e, size in zip(entries, octets, strict=True) if size is not None]
    return [entry for entry, _ in present], [size for _, size in present], exact


def _identities(
    entries: Sequence[MaildirEntry], folders: Folders
) -> Iterator[tuple[int, Fingerprint]]:
    """Yield the inodes and fingerprints of files, some of which came a moment ago."""
    for entry in entries:
        status = None
        with contextlib.suppress(OSError):
            status = _status(entry.name, folders[entry.folder])
        if status is not None:
            yield entry.inode, fingerprint_of(status)


def update(
    cached: MaildirSnapshot,
    stamp: FolderStamp,
    held: LockedMaildir,
    unique_ids: UniqueIds | None,
    reports: Reports,
) -> ScanResult | None:
    """Return the known state with the changes since, None if they cannot be determined.

    Of a hundred thousand messages to which one was added, only the names in its folder are read.
    """
    if not cached.plain or cached.owner != held.owner:
        return None  # when a name goes, another file or name may take its key
    fresh, gone = _find_changes(cached, stamp, held.folders, reports.foreign_files)
    if len(fresh) + len(gone[NEW]) + len(gone[CUR]) > FEW:
        return None
    entries, octets, uids = cached.columns()
    if gone[NEW] or gone[CUR]:
        staying = [i for i, entry in enumerate(entries) if entry.name not in gone[entry.folder]]
        entries, octets, uids = cached.columns(staying)
    if any(change.status.st_nlink > 1 for change in fresh) and _is_shared(fresh, entries):
        return None  # a file with several names: the full scan joins them
    added = [change.entry for change in fresh]
    sizes, exact = size_cache.sizes_of_new(added, entries, held)
    keys = [entry.key for entry in added]
    unique_id = uid_function(unique_ids if added else None, held.root, reports.unused_list, keys)
    for entry, size in zip(added, sizes, strict=True):
        place = bisect.bisect_left(entries, filenames.sort_key(entry.key), key=_order)
        if place < len(entries) and entries[place].key == entry.key:
            return None  # two files with one base name: the full scan separates them
        if size is not None:
            entries.insert(place, entry)
            octets.insert(place, size)
            uids.insert(place, unique_id(entry.key))
    fingerprints = _fingerprints_now(cached, fresh, gone)
    return ScanResult(tuple(entries), MessageList(tuple(octets), tuple(uids)), exact, fingerprints)


class Fresh(NamedTuple):
    """A file under a name that was not known, or that another file had."""

    entry: MaildirEntry
    status: os.stat_result


def _find_changes(
    cached: MaildirSnapshot,
    stamp: FolderStamp,
    folders: Folders,
    report: Callable[[str], None],
) -> tuple[list[Fresh], list[Mapping[str, int]]]:
    """Return the fresh names of both folders, and the inodes of those gone from each, by name."""
    fresh: list[Fresh] = []
    gone: list[Mapping[str, int]] = [{}, {}]
    for folder in (NEW, CUR):
        if not cached.still_holds(folder, stamp):
            added, gone[folder] = _changes(cached.names(folder), folders[folder])
            fresh += [
                Fresh(MaildirEntry(filenames.base_name(n), folder, n, i), s) for n, i, s in added
            ]
    own, foreign = list[Fresh](), list[Fresh]()
    for file in fresh:
        (own if may_be_message(file.status, cached.owner) else foreign).append(file)
    if foreign:
        report(describe_foreign(foreign, cached.owner))
    return own, gone


def _fingerprints_now(
    cached: MaildirSnapshot, fresh: Sequence[Fresh], gone: Sequence[Mapping[str, int]]
) -> dict[int, Fingerprint]:
    """Return the fingerprints of files that are fresh, or were so a moment ago."""
    old = {inode for inodes in gone for inode in inodes.values()}
    lately = time.time_ns() - cached.begun < CLOCK_GRANULARITY
    fingerprints = {
        inode: fingerprint
        for inode, fingerprint in cached.fingerprints.items()
        if lately and inode not in old
    }
    return fingerprints | {file.entry.inode: fingerprint_of(file.status) for file in fresh}


def _is_shared(fresh: Sequence[Fresh], others: Sequence[MaildirEntry]) -> bool:
    """Return whether a fresh name is one more of a file that is there."""
    inodes = {entry.inode for entry in others} | {file.entry.inode for file in fresh}
    return len(inodes) < len(others) + len(fresh)


def _changes(
    cached: Mapping[str, int], folder: int
) -> tuple[list[tuple[str, int, os.stat_result]], Mapping[str, int]]:
    """Return the names of messages that are in a folder but were not known, and the reverse.

    A name that another file has now is both.
    """
    with scan_folder(folder) as files:
        inodes = {file.name: file.inode() for file in files}
    fresh = [name for name, inode in inodes.items() if cached.get(name) != inode]
    missing: Mapping[str, int] = {}
    if len(inodes) - len(fresh) != len(cached):
        missing = {name: inode for name, inode in cached.items() if inodes.get(name) != inode}
    examined = ((name, inodes[name], _status(name, folder)) for name in fresh)
    return [(name, inode, status) for name, inode, status in examined if status], missing


def _order(entry: MaildirEntry) -> str:
    return filenames.sort_key(entry.key)


def _status(name: str, folder: int) -> os.stat_result | None:
    """Return the status of a message's file; None for anything else. Raises OSError."""
    if name.startswith("."):
        return None
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None
