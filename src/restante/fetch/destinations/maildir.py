"""A Maildir as a destination: exactly once, whatever a mail reader does with the mail meanwhile.

A draft lies in `tmp`, and its name goes into the journal. To deliver it is one rename into `new`.
So after a crash `tmp` has the answer: a file that is still there was not delivered. A fixed name in
`new` would not do, since a reader may have moved or removed the message before the next run. If the
Maildir was replaced since, its own `new` and `cur` may have the answer.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from restante.fetch.destinations.disk_errors import (
    DiskErrors,
    require_same_folder,
    require_space,
)
from restante.fetch.destinations.sync_threads import SyncThreads
from restante.fetch.destinations.unix_lines import UnixLines
from restante.fetch.interfaces import (
    Content,
    DestinationUnavailableError,
    NotDeliveredError,
    Settled,
    SourceMessage,
)
from restante.storage.fs import (
    MAKE_FILE,
    chown_like_parent,
    close_quietly,
    list_folder,
    open_folder,
    remove_stale,
)
from restante.storage.maildir.delivery import unique_name
from restante.storage.maildir.filenames import delivery_time
from restante.storage.maildir.quota import Change, mark_subfolder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from restante.fetch.destinations.sync_threads import DiskWork
    from restante.fetch.interfaces import Draft

SYNCING_THREADS = 4  # twice as fast as one; 16 gain nothing
BUFFER = 64 * 1024  # octets of a message that wait for their file
CERTAIN = 24 * 60 * 60  # seconds; other programs remove files from tmp/ after 36 hours

_FOLDERS = ("tmp", "new", "cur")
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class MaildirDraft:
    """A file in tmp. Its name gets the sizes of Maildir++ when it is delivered.

    A thread makes, writes and syncs it, so that the next message comes meanwhile.

    Attributes:
        name: its name in tmp.
        delivered_name: its name in new, when it is finished.
        octets: how many the file has, when it is finished.
    """

    def __init__(self, destination: MaildirDestination) -> None:
        self._destination = destination
        self._lines = UnixLines()
        self.name, self.delivered_name = unique_name(), ""
        self.octets = 0
        self._waiting: list[bytes] = []  # that are not in the file yet
        self._octets_waiting = 0
        self._file = -1
        self._is_made = False
        self._storing: DiskWork | None = None

    def write(self, octets: bytes) -> None:
        """Add octets with CR LF ends. Raises DestinationUnavailableError."""
        self._add(self._lines.feed(octets))
        if self._octets_waiting > BUFFER:
            with self._destination.writing:
                self._write_waiting()

    def finish(self, content: Content) -> None:  # noqa: ARG002  # its name needs other sizes
        """Begin to make the file durable; `wait` waits for that."""
        self._add(self._lines.finish())
        self.octets = self._lines.stored
        self.delivered_name = f"{self.name},S={self.octets},W={self._lines.on_wire}"
        self._storing = self._destination.threads.start(self._store)

    def wait(self) -> None:
        """Wait until the file is durable. Raises OSError."""
        assert self._storing is not None
        error = self._storing.wait()
        if error is not None:
            raise error

    def discard(self) -> None:
        """Remove the file."""
        if self._storing is not None:
            self._storing.wait()
        self._close()
        if self._is_made:
            self._destination.remove_draft(self.name)

    def _add(self, octets: bytes) -> None:
        if octets:
            self._waiting.append(octets)
            self._octets_waiting += len(octets)

    def _store(self) -> None:
        try:
            self._write_waiting()
            os.fsync(self._file)
        finally:
            self._close()

    def _write_waiting(self) -> None:
        if not self._is_made:
            self._file = self._destination.make_draft(self.name)
            self._is_made = True
        rest = memoryview(b"".join(self._waiting))
        self._waiting.clear()
        self._octets_waiting = 0
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def _close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            close_quietly(file)


class MaildirDestination:
    """Delivers into a Maildir, or into a folder of one such as `Mail/.Lists`.

    It is created if its parent is there: a missing parent may be a disk that is not mounted.

    Attributes:
        writing: turns errors of the disk where a draft is written.
        threads: write and sync drafts.
    """

    batch = 200  # all messages of a session: each batch waits for the disk four times

    def __init__(self, path: str, clock: Callable[[], float] = time.time) -> None:
        """`path` may begin with "~"; `clock` returns the seconds since 1970."""
        self.url = f"maildir:{path}"
        self.threads = SyncThreads(SYNCING_THREADS)
        self._path = os.path.abspath(os.path.expanduser(path))
        self._clock = clock
        self.writing = DiskErrors("a message cannot be written to", self._path)
        self._delivering = DiskErrors("mail cannot be delivered to", self._path)
        self._descriptors = contextlib.ExitStack()
        self._maildir = self._tmp = self._new = self._cur = self._quota_folder = -1
        self._names: frozenset[str] | None = None  # in new and cur, before their flags
        self._drafts: set[MaildirDraft] = set()
        self._change = Change()

    def open(self) -> None:
        """Open the folders, made if they are missing. Raises DestinationUnavailableError."""
        with self._delivering:
            self._maildir = maildir = self._open_maildir()
            self._tmp, self._new, self._cur = (self._open(name, maildir) for name in _FOLDERS)
        self._descriptors.callback(self.threads.close)

    def start(self, message: SourceMessage) -> MaildirDraft:
        """Return a draft, if there is room for its file. Raises DestinationError."""
        with self.writing:
            require_space(message.size, self._tmp)
        draft = MaildirDraft(self)
        self._drafts.add(draft)
        return draft

    def make_draft(self, name: str) -> int:
        """Return the descriptor of a new file in tmp. Raises OSError."""
        file = os.open(name, MAKE_FILE, 0o600, dir_fd=self._tmp)
        try:
            chown_like_parent(file, self._tmp)
        except BaseException:
            os.close(file)
            self.remove_draft(name)
            raise
        return file

    def remove_draft(self, name: str) -> None:
        """Remove a file from tmp. It raises nothing."""
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._tmp)

    def prepare(self, drafts: Sequence[Draft]) -> list[str]:
        """Make files and their names in tmp durable. Raises DestinationUnavailableError."""
        ours = [draft for draft in drafts if isinstance(draft, MaildirDraft)]
        with self.writing:
            require_same_folder(self._path, self._maildir)
            for draft in ours:
                draft.wait()
            os.fsync(self._tmp)
            folder = os.fstat(self._tmp).st_ino
        self._drafts.difference_update(ours)
        return [f"{folder:x} {draft.delivered_name}" for draft in ours]

    def deliver(self, draft: Draft) -> None:
        """Rename a file into new. Raises DestinationUnavailableError.

        Raises NotDeliveredError: it is not there. `settle` could not know that if another program
        removed the file.
        """
        assert isinstance(draft, MaildirDraft)
        with self._delivering:
            try:
                self._rename(draft.name, draft.delivered_name)
            except OSError as error:
                if not _exists(draft.delivered_name, self._new):  # NFS may carry it out twice
                    raise NotDeliveredError(self._failure_text(error), general=True) from error
        self._change.add(draft.delivered_name, draft.octets)

    def sync(self) -> None:
        """Make the names in new durable. Raises DestinationUnavailableError."""
        with self._delivering:
            os.fsync(self._new)
        self._write_change()
        with self._delivering:
            require_same_folder(self._path, self._maildir)

    def settle(self, token: str) -> Settled:
        """Deliver what is in tmp; without a file there it was delivered.

        That does not hold for a token that is older than a day, of another tmp, or of a clock that
        was a day ahead: then it must be in new or cur.
        """
        number, _, name = token.partition(" ")
        folder = int(number, 16)
        with self._delivering:
            try:
                self._rename(name.rpartition(",S=")[0], name)
            except FileNotFoundError:
                os.fsync(self._new)
                return self._without_file(folder, name)
            self._change.add(name, 0)
            self.sync()
            return Settled.HERE

    def close(self) -> None:
        """Remove drafts that were not prepared, and close the folders."""
        for draft in self._drafts:
            draft.discard()
        self._drafts.clear()
        if self._tmp >= 0:
            remove_stale(self._tmp)
        self._descriptors.close()
        self._maildir = self._tmp = self._new = self._cur = self._quota_folder = -1
        self._names = None

    def _open_maildir(self) -> int:
        """Open the Maildir, made durably if it is missing. Raises OSError.

        Raises DestinationUnavailableError: it is another folder.
        """
        place, name = os.path.split(self._path)
        parent = self._open(place)
        is_new = not _exists(name, parent)
        maildir = self._open(name, parent) if is_new else self._open(self._path)
        if not is_new and not _is_usable(maildir):
            raise DestinationUnavailableError(
                f"{self._path} has other files and is not a Maildir; name an empty folder"
            )
        is_folder = name.startswith(".") and _exists("cur", parent)  # of Maildir++
        if is_folder and is_new:
            mark_subfolder(maildir)
        self._quota_folder = parent if is_folder else maildir
        return maildir

    def _open(self, name: str, parent: int | None = None) -> int:
        folder = os.open(name, _OPEN_FOLDER) if parent is None else open_folder(name, parent)
        self._descriptors.callback(close_quietly, folder)
        return folder

    def _rename(self, name: str, delivered_name: str) -> None:
        os.rename(name, delivered_name, src_dir_fd=self._tmp, dst_dir_fd=self._new)

    def _failure_text(self, error: OSError) -> str:
        """Return why a file cannot be renamed. Raises NotDeliveredError, OSError."""
        if not isinstance(error, FileNotFoundError):
            return self._delivering.describe(error)
        require_same_folder(self._path, self._maildir)
        return (
            f"{self._path}: another program removed a message from its folder tmp before the"
            " delivery; the next run fetches it again"
        )

    def _without_file(self, folder: int, name: str) -> Settled:
        age = self._clock() - delivery_time(name)
        same = folder == os.fstat(self._tmp).st_ino
        if (same and abs(age) < CERTAIN) or name in self._delivered_names():
            return Settled.HERE
        return Settled.UNKNOWN

    def _delivered_names(self) -> frozenset[str]:
        if self._names is None:  # from two lists: one can miss a name that changes meanwhile
            folders = (self._new, self._cur) * 2
            names = (name for folder in folders for name in list_folder(folder))
            self._names = frozenset(name.partition(":")[0] for name in names)
        return self._names

    def _write_change(self) -> None:
        change, self._change = self._change, Change()
        change.write(self._quota_folder)


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def _is_usable(folder: int) -> bool:
    """Return whether a folder is a Maildir, or is empty. Raises OSError."""
    names = list_folder(folder)
    return not names or not set(_FOLDERS).isdisjoint(names)
