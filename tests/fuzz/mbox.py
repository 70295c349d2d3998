"""Mboxes that other programs wrote: whatever looks like a From-line, quotes, lengths that lie."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from fuzz.stored import OLD_SECONDS, RAM, is_unique_id
from fuzz.target import Target, choices
from protocol import reference
from restante.storage.errors import StoreError
from restante.storage.mbox import MboxStore, from_line
from restante.storage.mbox.maildrop import MboxMaildrop
from restante.storage.paths import Layout

ADDED = b"\xfe"  # between the file and what another program adds to it later
BLOCK = 64  # octets read at once, where a megabyte is

Mail = dict[str, tuple[int, bytes]]  # by unique-id, in order: what LIST says, and the octets


def mbox(octets: bytes) -> None:
    """Which message is removed by one octet, then the file, then what is added.

    What was not removed stays as it is, under its unique-id. A store that knew the file before and
    one that did not see the same.
    """
    (which,), rest = choices(octets, 1)
    text, _, added = rest.partition(ADDED)
    with tempfile.TemporaryDirectory(dir=RAM if RAM.is_dir() else None) as root:
        file = Path(root, "ann")
        file.write_bytes(text)
        store = MboxStore(Layout(Path(root)))
        before = _seen(store, file)
        if before is None:
            assert file.read_bytes() == text, "what is no mbox is left alone"
            return
        _remove(store, list(before)[which : which + 1])
        left = {uid: mail for place, (uid, mail) in enumerate(before.items()) if place != which}
        assert _seen(store, file) == left == _seen(MboxStore(Layout(Path(root))), file)
        with file.open("ab") as end:
            end.write(added)
        assert _seen(store, file) == _seen(MboxStore(Layout(Path(root))), file)


def _seen(store: MboxStore, file: Path) -> Mail | None:
    """Return all that the store shows; None if it says that this is not an mbox."""
    if file.exists():
        os.utime(file, (OLD_SECONDS, OLD_SECONDS))
    try:
        maildrop = store.open_blocking("ann")
    except StoreError:
        return None
    assert maildrop is not None, "nobody else holds it"
    try:
        contents = maildrop.contents
        assert len(set(contents.uids)) == len(contents.uids)
        assert all(map(is_unique_id, contents.uids))
        texts = [_whole(maildrop, index) for index in range(len(contents.uids))]
        assert list(contents.sizes) == [reference.size(text) for text in texts]
        return dict(zip(contents.uids, zip(contents.sizes, texts, strict=True), strict=True))
    finally:
        maildrop.release()


def _whole(maildrop: MboxMaildrop, index: int) -> bytes:
    body = maildrop.read_blocking(index)
    assert isinstance(body, bytes), "a small message that nobody changes is read at once"
    return body


def _remove(store: MboxStore, uids: list[str]) -> None:
    maildrop = store.open_blocking("ann")
    assert maildrop is not None
    try:
        assert maildrop.remove_blocking([maildrop.contents.uids.index(uid) for uid in uids])
    finally:
        maildrop.release()


TARGETS = {
    "mbox": Target(
        "Whatever a file has, it is no mbox and left alone, or each message is there as LIST says; "
        "one that is removed takes none of the others, nor their unique-ids, with it.",
        mbox,
        ((from_line, "BLOCK", BLOCK),),
        runs=10_000,
    ),
}
