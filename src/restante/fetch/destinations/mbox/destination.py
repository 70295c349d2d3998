"""An mbox as a destination: exactly once, unless another program writes the file anew meanwhile.

The journal gets the place that a message will have, and its digests. Both locks are held from
there until the delivery is durable. After a crash the place shows what became of the message; a
part of one is cut off by the journal of `restante.storage.mbox`. Where the file was replaced, the
message is searched for by its field `X-Restante-Fetch`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from restante.fetch.destinations.disk_errors import DiskErrors, require_same_folder
from restante.fetch.destinations.mbox.place import TRACE, MboxPlace
from restante.fetch.destinations.unix_lines import UnixLines
from restante.fetch.interfaces import Content, DestinationUnavailableError, Settled, SourceMessage
from restante.storage.fs import chown_like_parent, close_quietly
from restante.storage.mbox import delivery, scanner
from restante.storage.mbox.digest import CHUNK
from restante.storage.mbox.exact_io import pread_exactly
from restante.storage.mbox.locks import LockedByOtherError, mbox_locks
from restante.storage.mbox.maildrop import PATIENCE, PAUSE
from restante.storage.mbox.paths import MboxPaths, open_paths
from restante.storage.mbox.quoting import Quoting
from restante.storage.mbox.status_fields import header_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from restante.fetch.interfaces import Draft
    from restante.fetch.spool import Spool, SpooledDraft


class MboxDraft:
    """A message as its text will be in the file, in the spool until then."""

    def __init__(self, message: SourceMessage, text: SpooledDraft) -> None:
        self._fetch_id = message.fetch_id
        self._text = text
        self._lines = UnixLines()
        self._quoting = Quoting()
        self._beginning = bytearray()  # before it is quoted, at most CHUNK octets
        self._last = b""
        self._head = b""  # the lines before the text
        self.octets = 0  # from the From-line on

    def write(self, octets: bytes) -> None:
        """Add octets with CR LF ends. Raises DestinationUnavailableError."""
        self._add(self._lines.feed(octets))

    def finish(self, content: Content) -> None:
        """Add a last line end if it is missing, and the empty line that ends a message."""
        self._add(self._lines.finish())
        unended = bool(self._last) and self._last != b"\n"
        self._text.write(self._quoting.finish() + (b"\n\n" if unended else b"\n"))
        self._text.finish(content)
        trace = TRACE + self._fetch_id.encode() + b"\n"
        self._head = delivery.head_of(bytes(self._beginning), unended=unended) + trace
        self._beginning.clear()
        self.octets = len(self._head) + self._text.octets

    def discard(self) -> None:
        """Remove it from the spool."""
        self._text.discard()

    def place(self, status: os.stat_result, start: int) -> MboxPlace:
        """Return where the message will be in a file. Raises DestinationUnavailableError."""
        self._text.rewind()
        first = self._text.read(CHUNK)
        in_first = header_end(first)
        head = self._head + first[:in_first]
        body = hashlib.sha256(first[in_first:])
        while piece := self._text.read(CHUNK):
            body.update(piece)
        digests = hashlib.sha256(head).hexdigest(), body.hexdigest()
        octets = self.octets - len(head)
        own = self._head.splitlines()[1].decode()
        return MboxPlace(
            status.st_ino, start, len(head), digests[0], octets, digests[1], own, self._fetch_id,
            status.st_size,
        )  # fmt: skip

    def append(self, mbox: MboxPaths, file: int) -> None:
        """Write the message at the end of a locked mbox, durably. Raises OSError."""
        text = self._text.chunks()
        delivery.append(mbox, file, self._head + next(text, b""), text, self.octets)

    def _add(self, text: bytes) -> None:
        self._beginning += text[: CHUNK - len(self._beginning)]
        self._last = text[-1:] or self._last
        self._text.write(self._quoting.feed(text))


class MboxDestination:
    """Delivers into an mbox, made if it is missing; its folder must be there.

    The format cannot keep all: readers see the field `X-Restante-Fetch` in each message.
    """

    batch = 16

    def __init__(
        self, path: str, spool: Spool, pause: Callable[[float], None] = time.sleep
    ) -> None:
        """`path` may begin with "~"; `pause` waits a number of seconds."""
        self.url = f"mbox:{path}"
        self._path = Path(os.path.abspath(os.path.expanduser(path)))
        self._errors = DiskErrors("mail cannot be delivered to", str(self._path))
        self._spool = spool
        self._pause = pause
        self._opened = contextlib.ExitStack()
        self._locked = contextlib.ExitStack()
        self._drafts: set[MboxDraft] = set()
        self._mbox: MboxPaths
        self._file = -1
        self._end = 0  # of the last message that was delivered

    def open(self) -> None:
        """Make the mbox if it is missing. Raises DestinationUnavailableError."""
        self._spool.open()
        with self._errors:
            self._mbox = open_paths(self._path, self._path.parent, lambda _: None)
            self._opened.callback(close_quietly, self._mbox.folder)
        with self._locks():
            pass

    def start(self, message: SourceMessage) -> MboxDraft:
        """Return a draft in the spool."""
        draft = MboxDraft(message, self._spool.start(message))
        self._drafts.add(draft)
        return draft

    def prepare(self, drafts: Sequence[Draft]) -> list[str]:
        """Lock the mbox until `sync`, and return where messages will be.

        Raises DestinationUnavailableError.
        """
        self._locked.close()
        with self._errors:
            require_same_folder(self._path.parent, self._mbox.folder)
        self._file = self._locked.enter_context(self._locks())
        self._end = 0
        tokens = []
        with self._errors:
            status = os.fstat(self._file)
            last = pread_exactly(self._file, 3, max(0, status.st_size - 3))
            start = status.st_size + len(delivery.separator_after(last))
            for draft in drafts:
                assert isinstance(draft, MboxDraft)
                tokens.append(draft.place(status, start).token)
                start += draft.octets
        return tokens

    def deliver(self, draft: Draft) -> None:
        """Write a message at the end, durably. Raises DestinationUnavailableError.

        On a full disk the file is cut to what it was.
        """
        assert isinstance(draft, MboxDraft)
        with self._errors:
            draft.append(self._mbox, self._file)
            self._end = os.fstat(self._file).st_size
        self._drafts.discard(draft)
        draft.discard()

    def sync(self) -> None:
        """Unlock the mbox; all in it is durable.

        Raises DestinationUnavailableError: another program, which ignores locks, changed the file.
        """
        file, self._file = self._file, -1
        try:
            with self._errors:
                fault = self._find_fault(file) if file >= 0 else ""
                require_same_folder(self._path.parent, self._mbox.folder)
        finally:
            self._locked.close()
        if fault:
            raise DestinationUnavailableError(
                f"another program {fault} {self._path} during the delivery, and ignored its"
                " locks; the next run finds out what the file has now"
            )

    def _find_fault(self, file: int) -> str:
        """Return what a program did to a locked mbox, "" if none did. Raises OSError."""
        if not self._mbox.is_at(file):
            return "replaced"
        return "truncated" if os.fstat(file).st_size < self._end else ""

    def settle(self, token: str) -> Settled:
        """Search the mbox for a message. Raises DestinationUnavailableError."""
        place = MboxPlace.from_token(token)
        with self._locks() as file, self._errors:
            if place.is_in(file):
                os.fsync(file)
                return Settled.HERE
            return Settled.NOT_HERE if place.was_not_written(file) else Settled.UNKNOWN

    def close(self) -> None:
        """Unlock the mbox, and remove all drafts: the next run retrieves them again."""
        for draft in self._drafts:
            draft.discard()
        self._drafts.clear()
        with contextlib.suppress(OSError):  # the system unlocks what it closes
            self._locked.close()
        self._opened.close()

    @contextlib.contextmanager
    def _locks(self) -> Iterator[int]:
        """Hold both locks of the mbox, and return it open. Raises DestinationUnavailableError."""
        with contextlib.ExitStack() as undo:
            with self._errors:
                file = self._lock(undo)
                scanner.check_start(file)
            yield file

    def _lock(self, undo: contextlib.ExitStack) -> int:
        """Open and lock the mbox. Raises OSError, StoreError, DestinationUnavailableError."""
        for _ in range(int(PATIENCE / PAUSE)):
            file = self._mbox.open(to_write=True)
            if file is None:
                self._make()
                continue
            try:
                with contextlib.ExitStack() as locked:
                    locked.callback(close_quietly, file)
                    locked.enter_context(mbox_locks(self._mbox, file))
                    undo.push(locked.pop_all())
                return file
            except LockedByOtherError:
                self._pause(PAUSE)
        raise DestinationUnavailableError(
            f"another program holds the lock of {self._path}; fetch again later"
        )

    def _make(self) -> None:
        """Make an empty mbox for the user of its name, else for its folder's. Raises OSError."""
        delivery.make(self._mbox, self._mbox.name)
        file = self._mbox.open()
        if file is not None:
            try:
                if os.fstat(file).st_uid == 0:
                    chown_like_parent(file, self._mbox.folder)
            finally:
                close_quietly(file)
