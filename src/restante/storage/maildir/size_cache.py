"""How many octets each message has on the wire.

The field W= of a name gives the size. Without it, the message is read once, and the count is kept
in a file beside the folders. That file is a cache: a size that does not match its message is
counted again.

A login counts for a minute at most. Then it fails, and the next one continues. So a Maildir full of
messages that unpack to gigabytes occupies a thread for a minute. A message that needs longer alone,
or whose count cannot be kept, has the size of its file instead.
"""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

import msgspec

from restante.protocol.stuffing import size_on_wire
from restante.storage.errors import StoreError
from restante.storage.fs import chunks, make_file, open_file, read_whole
from restante.storage.maildir import filenames
from restante.storage.maildir.compressed import UnreadableError, plain_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from restante.storage.maildir.locked_folder import LockedMaildir
    from restante.storage.maildir.scan import Folders, MaildirEntry

CACHE_FILE = "restante.sizes"
_NEW_CACHE_FILE = "restante.sizes.new"
_HEAD = b"restante sizes 1 "

LONGEST_RECORD = 144  # octets: a unique-id of 70, three numbers, and what JSON puts around them
SECONDS = 60  # for all messages that one login counts
SPARE = 10_000  # records of messages that are gone, until the file is written anew

Octets: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
CachedSizes: TypeAlias = dict[str, tuple[Octets, int, int]]
"""By `MaildirEntry.uid`: octets on the wire, and the size and time of the file at that moment."""


clock: Callable[[], float] = time.monotonic


class Sizes(NamedTuple):
    """The octets of messages."""

    octets: list[int | None]  # None for one that vanished
    exact: bool  # every message that had to be read could be read


class _TimeOverError(Exception):
    """The time for counting is over."""


class _Measurement:
    """The octets of messages, which are counted in one time.

    Attributes:
        fresh: what is worth keeping.
        exact: as in `Sizes`.
        uncounted: the number of messages for which there was no time.
    """

    def __init__(self, folders: Folders, cached: CachedSizes) -> None:
        self._folders = folders
        self._cached = cached
        self._ends = clock() + SECONDS
        self._counted = 0
        self._is_over = False
        self.fresh: CachedSizes = {}
        self.exact = True
        self.uncounted = 0

    def sizes_of(self, entries: Sequence[MaildirEntry]) -> Sizes:
        """Return the octets of messages."""
        octets = [self._octets_of(entry) for entry in entries]
        return Sizes(octets, self.exact)

    def _octets_of(self, entry: MaildirEntry) -> int | None:
        """Return a message's octets, None if it vanished.

        One that cannot be read is better shown than hidden, with what was known of it, or 0.
        """
        remembered = self._cached.get(entry.uid) if self._cached else None
        octets = filenames.wire_size(entry.key)
        if remembered is None and octets is not None:
            return octets
        try:
            stamp = _stamp(entry, self._folders)
            if remembered is None or remembered[1:] != stamp:
                octets = self._count(entry)
                if octets is None:
                    self.exact = False
                    self.uncounted += 1
                    return stamp[0]
                remembered = (octets, *stamp)
        except FileNotFoundError:
            return None
        except OSError:
            self.exact = False
        if remembered is None:
            return 0
        self.fresh[entry.uid] = remembered
        return remembered[0]

    def _count(self, entry: MaildirEntry) -> int | None:
        """Return the octets of a message, None if the time is over.

        If it needs all the time alone, they are those of its file. Raises OSError.
        """
        if self._is_over:
            return None
        file, status = open_file(entry.name, self._folders[entry.folder])
        try:
            octets = self._measure(file, status.st_size, entry.key)
        except _TimeOverError:
            self._is_over = True
            if self._counted:
                return None
            octets = status.st_size
        finally:
            os.close(file)
        self._counted += 1
        return octets

    def _measure(self, file: int, octets: int, base: str) -> int:
        try:
            return size_on_wire(self._read_in_time(plain_chunks(file, octets, base)))
        except UnreadableError:
            return size_on_wire(self._read_in_time(chunks(file)))  # RETR says what is wrong with it

    def _read_in_time(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if clock() >= self._ends:
                raise _TimeOverError
            yield piece


def sizes_of(entries: Sequence[MaildirEntry], held: LockedMaildir) -> Sizes:
    """Return the octets of each message; count what is not known.

    Raises StoreError: the time is over, and the next call goes on.
    """
    cached = load(held.root, len(entries))
    found = _Measurement(held.folders, cached)
    sizes = found.sizes_of(entries)
    kept = cached | found.fresh if found.uncounted else found.fresh
    saved = found.fresh == cached or save(kept, held.root)
    if found.uncounted and saved:
        raise _uncounted_error(found.uncounted)
    return sizes


def sizes_of_new(
    entries: Sequence[MaildirEntry], others: Sequence[MaildirEntry], held: LockedMaildir
) -> Sizes:
    """Return the octets of messages that came since; what is known of the others stays."""
    if not entries:
        return Sizes([], exact=True)
    cached = load(held.root, len(entries) + len(others))
    found = _Measurement(held.folders, cached)
    sizes = found.sizes_of(entries)
    saved = not found.uncounted
    if found.fresh:
        if len(cached) > len(others):  # to search for vanished ones takes long
            present = {entry.uid for entry in others}
            cached = {uid: size for uid, size in cached.items() if uid in present}
        saved = save(cached | found.fresh, held.root)
    if found.uncounted and saved:
        raise _uncounted_error(found.uncounted)
    return sizes


def correct(sizes: Mapping[MaildirEntry, int], held: LockedMaildir, messages: int) -> None:
    """Keep sizes that were found by reading. They override those of names and of the file.

    `messages` is the number of messages in the maildrop.
    """
    cached = load(held.root, messages)
    for entry, octets in sizes.items():
        with contextlib.suppress(OSError):
            cached[entry.uid] = (octets, *_stamp(entry, held.folders))
    save(cached, held.root)


def _uncounted_error(messages: int) -> StoreError:
    return StoreError(f"{messages} messages are not measured yet; the next login goes on")


def _stamp(entry: MaildirEntry, folders: Folders) -> tuple[int, int]:
    status = os.stat(entry.name, dir_fd=folders[entry.folder], follow_symlinks=False)
    return status.st_size, status.st_mtime_ns


def load(maildrop: int, messages: int) -> CachedSizes:
    """Return what the file holds: nothing, when it is missing, cut, garbage or too long."""
    try:
        text = read_whole(CACHE_FILE, maildrop, _most(messages))
    except OSError:
        return {}
    head, _, records = text.partition(b"\n")
    if head != head_of(records):
        return {}
    try:
        return msgspec.json.decode(records, type=CachedSizes)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _most(messages: int) -> int:
    """Return the octets of the longest file that may be of use: it has a line for each message."""
    return (messages + SPARE) * LONGEST_RECORD


def save(cached: CachedSizes, maildrop: int) -> bool:
    """Write the file anew, and return whether that worked; else the next session counts again."""
    text = msgspec.json.encode(cached)
    try:
        file = make_file(_NEW_CACHE_FILE, maildrop)
    except OSError:
        return False
    try:
        with open(file, "wb") as new:
            new.write(head_of(text) + b"\n" + text)
        os.rename(_NEW_CACHE_FILE, CACHE_FILE, src_dir_fd=maildrop, dst_dir_fd=maildrop)
    except OSError:
        with contextlib.suppress(OSError):  # a full disk needs the room
            os.unlink(_NEW_CACHE_FILE, dir_fd=maildrop)
        return False
    return True


def head_of(text: bytes) -> bytes:
    """Return the first line of the file: its version, and a checksum of the rest."""
    return _HEAD + f"{zlib.crc32(text):08x}".encode()
