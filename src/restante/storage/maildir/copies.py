"""Copies of a message under one base name: each keeps its unique-id when the first one goes.

One copy has the base name as its unique-id. After its removal, the next copy would get that
unique-id, and clients would mistake it for a message that they have already. So before the removal,
the other copies get names that keep their unique-ids.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from restante.storage.maildir import filenames

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from restante.storage.maildir.scan import Folders, MaildirEntry


def keep_unique_ids(
    entries: Sequence[MaildirEntry], removed: Collection[int], folders: Folders
) -> dict[int, OSError]:
    """Rename copies of messages that are to be removed, by their places among all entries.

    Returns which of these must stay, since a copy could not be renamed, and why.
    """
    failed: dict[int, OSError] = {}
    first = {
        entry.base: place
        for place, entry in enumerate(entries)
        if entry.shared_base == entry.key and place in removed
    }
    for place, entry in enumerate(entries):
        if entry.shared_base in first and entry.shared_base != entry.key:
            if place in removed:
                continue
            try:
                _rename(entry, folders)
            except OSError as error:
                error.filename = entry.path
                failed[first[entry.shared_base]] = error
    return failed


def _rename(entry: MaildirEntry, folders: Folders) -> None:
    """Make the key of a file its base name, in all its names. Raises OSError.

    A link and the removal of the old name cannot replace another file, as a rename can.
    """
    for folder, name in entry.all_names:
        base = filenames.base_name(name)
        if base != entry.base:
            continue
        descriptor = folders[folder]
        try:
            if os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_ino != entry.inode:
                continue
            new = filenames.fit(entry.key, name[len(base) :])
            os.link(name, new, src_dir_fd=descriptor, dst_dir_fd=descriptor, follow_symlinks=False)
            os.unlink(name, dir_fd=descriptor)
        except FileNotFoundError:
            continue  # another program took it away
