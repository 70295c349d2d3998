"""Expiry of a Maildir: messages older than a number of days, and their removal."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from restante.storage.errors import PartlyExpiredError
from restante.storage.fs import store_error
from restante.storage.interfaces import ExpiredMessage
from restante.storage.maildir import filenames
from restante.storage.maildir.copies import keep_unique_ids
from restante.storage.maildir.identity import Evidence, arrival_time, fingerprint_of
from restante.storage.maildir.quota import Change
from restante.storage.maildir.removal import FileRemoval
from restante.storage.maildir.scan import list_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from restante.storage.age_limit import AgeLimit
    from restante.storage.maildir.deleted import DeletedFolder
    from restante.storage.maildir.identity import Fingerprint
    from restante.storage.maildir.locked_folder import LockedMaildir
    from restante.storage.maildir.scan import Folders, MaildirEntry


class Expired(NamedTuple):
    """A message that is due, its file, and the file's fingerprint when its age was found."""

    entry: MaildirEntry
    fingerprint: Fingerprint
    message: ExpiredMessage


def due_messages(
    folders: Folders,
    limit: AgeLimit,
    unique_id: Callable[[str], str] = filenames.unique_id,
    owner: int = -1,
    report: Callable[[str], object] = lambda _problem: None,
) -> list[Expired]:
    """Return the messages that are due by their age. Raises OSError.

    Messages whose status cannot be read are left out; `report` is called once with the reason.

    The arrival of a message is the latest of the times in its names and of its file, so old mail
    that is copied in is not removed at once. With an `owner`, only files of that user count.
    """
    skipped: list[OSError] = []
    due = [
        Expired(
            entry, fingerprint_of(status), ExpiredMessage(unique_id(entry.key), age, status.st_size)
        )
        for entry, status in _messages(folders, owner, skipped)
        if (age := limit.age_if_due(arrival_time(entry, status))) is not None
    ]
    if skipped:
        first = f"{skipped[0].strerror}: {skipped[0].filename}"
        report(f"the age of {len(skipped)} messages is unknown; the first: {first}")
    return due


def remove(
    held: LockedMaildir, due: list[Expired], maildrop: Path, deleted: DeletedFolder | None = None
) -> list[ExpiredMessage]:
    """Remove these messages, under all their names, and return those that are gone now.

    With a folder for `deleted` messages, they are moved there.

    A message that cannot be removed does not stop the others. One that another program moves
    meanwhile is left for the next time. Raises PartlyExpiredError.
    """
    evidence = Evidence(
        time.time_ns(), {expired.entry.inode: expired.fingerprint for expired in due}
    )
    problems = _keep_unique_ids(held, due)
    entries = {place: expired.entry for place, expired in enumerate(due) if place not in problems}
    change = Change()
    problems |= FileRemoval(held.folders, evidence, change, deleted).remove_all(entries)
    change.write(held.root, subfolder=held.is_subfolder)
    removed = [expired.message for place, expired in enumerate(due) if place not in problems]
    errors = [why for why in problems.values() if not isinstance(why, FileNotFoundError)]
    failed = errors[0] if errors else None
    try:
        if removed or failed:
            if deleted is not None:
                deleted.sync()
            held.folders.sync()
    except OSError as error:
        failed = failed or error
        removed = [message._replace(durable=False) for message in removed]
    if failed is not None:
        summary = store_error("old mail cannot be removed", failed, maildrop)
        raise PartlyExpiredError(summary.text, removed, path=summary.path) from failed
    return removed


def _keep_unique_ids(held: LockedMaildir, due: list[Expired]) -> dict[int, OSError]:
    """Rename copies of messages that are due; return which of these must stay, and why."""
    places = {
        expired.entry.key: place for place, expired in enumerate(due) if expired.entry.shared_base
    }
    if not places:
        return {}
    entries = list_messages(held.folders, held.owner)
    removed = {i: places[entry.key] for i, entry in enumerate(entries) if entry.key in places}
    failed = keep_unique_ids(entries, removed, held.folders)
    return {removed[place]: error for place, error in failed.items()}


def _messages(
    folders: Folders, owner: int, skipped: list[OSError]
) -> Iterator[tuple[MaildirEntry, os.stat_result]]:
    for entry in list_messages(folders, owner):
        try:
            folder = folders[entry.folder]
            yield entry, os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            continue
        except OSError as error:  # its age is unknown: continue with the others
            error.filename = entry.path
            skipped.append(error)


def find_arrival(entry: MaildirEntry, folders: Folders) -> float | None:
    """Return when a message came, in seconds since 1970, None if it is gone.

    Raises OSError: without a message's time, the oldest ones are unknown, and none may be removed.
    """
    try:
        status = os.stat(entry.name, dir_fd=folders[entry.folder], follow_symlinks=False)
    except FileNotFoundError:
        return None
    return arrival_time(entry, status)
