"""Maildirs that other programs left: odd names, odd files, and a file of sizes that lies."""

from __future__ import annotations

import contextlib
import os
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from fuzz.target import Target
from restante.storage.file_chunks import FileChunks
from restante.storage.fs import chunks
from restante.storage.maildir import MaildirStore
from restante.storage.maildir.filenames import base_name
from restante.storage.maildir.maildrop import MaildirMaildrop
from restante.storage.paths import Layout

FIELD = b"\xfe"  # between the fields of an input
CONTENT = b"\xfd"  # between a file's name and its octets
SIGNED = b"!"  # begins a file of sizes that gets its right check sum
LONGEST_NAME = 200
MAX_FILES = 8
OLD_SECONDS = 1  # since 1970
OLD = OLD_SECONDS * 1_000_000_000  # nanoseconds
LATER = OLD + 1
RAM = Path("/dev/shm")  # where it is there: a fuzzer need not wear out a disk

Seen = dict[str, tuple[int, bytes]]  # by unique-id: what LIST says, and the octets
Files = dict[Path, bytes | None]  # None: it is not a regular file


def maildir(octets: bytes) -> None:
    """A file of sizes, then files, each field a kind, a name and its octets; "+" comes later.

    A store that knew the maildrop before and one that did not must see the same, whatever names
    and base names are used again, and by links. Unique-ids stay without such changes.
    """
    sizes, *fields = octets.split(FIELD)[: MAX_FILES + 1]
    with tempfile.TemporaryDirectory(dir=RAM if RAM.is_dir() else None) as root:
        box = Path(root, "ann")
        for part in ("tmp", "new", "cur"):
            (box / part).mkdir(parents=True)
        (box / "restante.sizes").write_bytes(_signed(sizes))
        store = MaildirStore(Layout(Path(root)))
        files: Files = {}
        _put(box, files, [field for field in fields if not field.startswith(b"+")])
        before = _look(store, box, files)
        plain = _is_plain(files)
        _move_on(files)
        later = [field[1:] for field in fields if field.startswith(b"+")]
        _put(box, files, later, LATER)
        warm = _look(store, box, files)
        cold = _look(MaildirStore(Layout(Path(root))), box, files)
        if plain and _is_plain(files):
            assert len(before.keys() - warm.keys()) <= 1, "one message went"
        assert {uid: text for uid, (_, text) in warm.items()} == {
            uid: text for uid, (_, text) in cold.items()
        }
        if not sizes.startswith(SIGNED):
            assert warm == cold


def _signed(sizes: bytes) -> bytes:
    if not sizes.startswith(SIGNED):
        return sizes
    text = sizes.removeprefix(SIGNED)
    return f"restante sizes 1 {zlib.crc32(text):08x}\n".encode() + text


def _put(box: Path, made: Files, fields: Iterable[bytes], time: int = OLD) -> None:
    """Make files: "n" and others are messages in new and in cur; "l", "d" and "p" are not.

    "h" is one more name of the first message.
    """
    for field in fields:
        kind, (name, _, text) = field[:1], field[1:].partition(CONTENT)
        name = name.replace(b"\0", b"_").replace(b"/", b"_")[:LONGEST_NAME]
        path = box / ("new" if kind == b"n" else "cur") / os.fsdecode(name)
        if name in (b"", b".", b"..") or path in made or path.exists():
            continue
        made[path] = None
        messages = [other for other in made if made[other] is not None]
        if kind == b"l":
            path.symlink_to("/etc/passwd")
        elif kind == b"d":
            path.mkdir()
        elif kind == b"p":
            os.mkfifo(path)
        elif kind == b"h" and messages:
            os.link(messages[0], path)
            made[path] = made[messages[0]]
        else:
            path.write_bytes(text)
            os.utime(path, ns=(time, time))
            made[path] = text


def _is_plain(files: Files) -> bool:
    """Tell whether each message has one name, and no two have one base name."""
    messages = [path for path, text in files.items() if text is not None]
    bases = {base_name(path.name) for path in messages}
    return len(bases) == len({path.stat().st_ino for path in messages}) == len(messages)


def _move_on(files: Files) -> None:
    """Do what a mail reader does between two sessions: a message gets a flag, one goes."""
    messages = [path for path, text in files.items() if text is not None]
    for place, path in enumerate(messages[:3]):
        text = files.pop(path)
        if place == 1:
            path.unlink()
            continue
        base = base_name(path.name)
        moved = path.parents[1] / "cur" / f"{base}:2,FS"
        with contextlib.suppress(OSError):
            if not moved.exists():
                files[path.rename(moved)] = text
                continue
        files[path] = text


def _look(store: MaildirStore, box: Path, files: Files) -> Seen:
    """Open the maildrop, look at all of it, and compare it with the files."""
    for folder in (box, box / "new", box / "cur"):  # long ago, and other names at another time
        names = b"/".join(sorted(os.listdir(os.fsencode(folder))))
        os.utime(folder, ns=(OLD, OLD + zlib.crc32(names)))
    maildrop = store.open_blocking("ann", box)
    assert isinstance(maildrop, MaildirMaildrop), "nobody else holds it"
    try:
        contents = maildrop.contents
        assert contents.octets >= 0
        listings = contents.scan_listing.part(0) + contents.uid_listing.part(0)
        lines = listings.split(b"\r\n")
        assert all(len(line) <= 510 and b"\n" not in line for line in lines)
        assert all(is_unique_id(uid) for uid in contents.uids)
        assert len(set(contents.uids)) == len(contents.uids)
        texts = [_whole(maildrop, index) for index in range(len(contents.uids))]
    finally:
        maildrop.release()
    there = {
        path.stat().st_ino: text
        for path, text in files.items()
        if text is not None and path.name[0] != "."
    }
    assert sorted(texts) == sorted(there.values())
    return dict(zip(contents.uids, zip(contents.sizes, texts, strict=True), strict=True))


def _whole(maildrop: MaildirMaildrop, index: int) -> bytes:
    body = maildrop.read_blocking(index, None)
    if isinstance(body, bytes):
        return body
    assert isinstance(body, FileChunks)
    text = b"".join(chunks(body.file))  # without an event loop
    os.close(body.file)
    return text


def is_unique_id(uid: str) -> bool:
    """RFC 1939 section 7."""
    return 1 <= len(uid) <= 70 and all("!" <= character <= "~" for character in uid)


TARGETS = {
    "maildir": Target(
        "Whatever names and files a Maildir has, each message is there once, whole, under a valid "
        "unique-id; a file of sizes that is cut or garbage changes nothing.",
        maildir,
        runs=5_000,
    ),
}
