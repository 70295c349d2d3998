"""How many octets each message has on the wire.

A name's field W= says so; else the message is read once, and the count is kept in a file beside the
folders. That file is only a help: whatever does not match its message is counted again.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

import msgspec

from restante.protocol.stuffing import size_on_wire
from restante.storage.fs import chunks, make_file, open_file, read_whole
from restante.storage.maildir import filenames
from restante.storage.maildir.compressed import UnreadableError, plain_chunks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from restante.storage.maildir.locked_folder import LockedMaildir
    from restante.storage.maildir.scan import Folders, MaildirEntry

CACHE_FILE = "restante.sizes"
_NEW_CACHE_FILE = "restante.sizes.new"
_HEAD = b"restante sizes 1 "

LONGEST_RECORD = 144  # octets: a unique-id of 70, three numbers, and what JSON puts around them
SPARE = 10_000  # records of messages that are gone, until the file is written anew

Octets: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Known: TypeAlias = dict[str, tuple[Octets, int, int]]
"""By `MaildirEntry.uid`: octets on the wire, and the size and time of the file at that moment."""


class Sizes(NamedTuple):
    """The octets of messages."""

    octets: list[int | None]  # None for one that vanished
    exact: bool  # every message that had to be read could be read


def sizes_of(entries: Sequence[MaildirEntry], held: LockedMaildir) -> Sizes:
    """Return the octets of each message; count what is not known."""
    known = load(held.root, len(entries))
    sizes, fresh = _sizes_of(entries, held.folders, known)
    if fresh != known:
        save(fresh, held.root)
    return sizes


def sizes_of_new(
    entries: Sequence[MaildirEntry], others: Sequence[MaildirEntry], held: LockedMaildir
) -> Sizes:
    """Return the octets of messages that came since; what is known of the others stays."""
    if not entries:
        return Sizes([], exact=True)
    known = load(held.root, len(entries) + len(others))
    sizes, fresh = _sizes_of(entries, held.folders, known)
    if fresh:
        if len(known) > len(others):  # to look for those that are gone takes long, so not each time
            there = {entry.uid for entry in others}
            known = {uid: size for uid, size in known.items() if uid in there}
        save(known | fresh, held.root)
    return sizes


def correct(found: Mapping[MaildirEntry, int], held: LockedMaildir, messages: int) -> None:
    """Keep sizes that were found by reading, over what a name or the file said before.

    `messages`: how many there are.
    """
    known = load(held.root, messages)
    for entry, octets in found.items():
        with contextlib.suppress(OSError):
            known[entry.uid] = (octets, *_stamp(entry, held.folders))
    save(known, held.root)


def _sizes_of(
    entries: Sequence[MaildirEntry], folders: Folders, known: Known
) -> tuple[Sizes, Known]:
    """Return the octets of messages, and what is worth keeping of them.

    One that cannot be read is better shown than hidden, with what was known of it, or 0.
    """
    fresh: Known = {}
    octets: list[int | None] = []
    exact = True
    for entry in entries:
        try:
            octets.append(_size_of(entry, folders, known, fresh))
        except OSError:
            remembered = known.get(entry.uid)
            if remembered is not None:
                fresh[entry.uid] = remembered
            octets.append(remembered[0] if remembered else filenames.wire_size(entry.key) or 0)
            exact = False
    return Sizes(octets, exact), fresh


def _size_of(entry: MaildirEntry, folders: Folders, known: Known, fresh: Known) -> int | None:
    """Return a message's octets, and note in `fresh` what is worth keeping. Raises OSError."""
    remembered = known.get(entry.uid) if known else None
    octets = filenames.wire_size(entry.key)
    if remembered is None and octets is not None:
        return octets
    try:
        stamp = _stamp(entry, folders)
        if remembered is None or remembered[1:] != stamp:
            remembered = (count(entry, folders), *stamp)
    except FileNotFoundError:
        return None
    fresh[entry.uid] = remembered
    return remembered[0]


def _stamp(entry: MaildirEntry, folders: Folders) -> tuple[int, int]:
    status = os.stat(entry.name, dir_fd=folders[entry.folder], follow_symlinks=False)
    return status.st_size, status.st_mtime_ns


def count(entry: MaildirEntry, folders: Folders) -> int:
    """Read a message, and return its octets on the wire. Raises OSError."""
    file, status = open_file(entry.name, folders[entry.folder])
    try:
        return size_on_wire(plain_chunks(file, status.st_size, entry.key))
    except UnreadableError:
        return size_on_wire(chunks(file))  # RETR says what is wrong with it
    finally:
        os.close(file)


def load(maildrop: int, messages: int) -> Known:
    """Return what the file holds: nothing, when it is missing, cut, garbage or too long."""
    try:
        text = read_whole(CACHE_FILE, maildrop, _most(messages))
    except OSError:
        return {}
    head, _, rest = text.partition(b"\n")
    if head != head_of(rest):
        return {}
    try:
        return msgspec.json.decode(rest, type=Known)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _most(messages: int) -> int:
    """Return the octets of the longest file that may be of use: it has a line for each message."""
    return (messages + SPARE) * LONGEST_RECORD


def save(known: Known, maildrop: int) -> None:
    """Write the file anew. Where that fails the next session counts again, so nothing is said."""
    text = msgspec.json.encode(known)
    try:
        file = make_file(_NEW_CACHE_FILE, maildrop)
    except OSError:
        return
    try:
        with open(file, "wb") as new:
            new.write(head_of(text) + b"\n" + text)
        os.rename(_NEW_CACHE_FILE, CACHE_FILE, src_dir_fd=maildrop, dst_dir_fd=maildrop)
    except OSError:
        with contextlib.suppress(OSError):  # a full disk needs the room
            os.unlink(_NEW_CACHE_FILE, dir_fd=maildrop)


def head_of(text: bytes) -> bytes:
    """Return the first line of the file: its version, and a checksum of the rest."""
    return _HEAD + f"{zlib.crc32(text):08x}".encode()
