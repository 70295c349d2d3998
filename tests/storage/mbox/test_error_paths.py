"""An error of an mbox has its whole path, for the log."""

from __future__ import annotations

import asyncio
import errno
import os
import re

import pytest

from restante.storage.errors import StoreError
from storage.contract import whole
from storage.mbox.box import Box, letter


def ending_in(path: object) -> str:
    """Return a pattern for an error that ends with a path, or with a path and what to do."""
    return re.escape(f": {path}") + "(; [^/]*)?$"


def test_a_file_that_is_no_mbox_is_named(box: Box) -> None:
    """An error about a file that is not an mbox names the file."""
    box.file.write_bytes(b"no From-line\n")
    with pytest.raises(StoreError, match="is not an mbox.*" + ending_in(box.file)):
        box.uids()
    with pytest.raises(StoreError, match="is not an mbox.*" + ending_in(box.file)):
        asyncio.run(box.store.deliver("ann", b"a"))
    with pytest.raises(StoreError, match="is not an mbox.*" + ending_in(box.file)):
        asyncio.run(box.store.expire("ann", 1))


def test_a_link_in_place_of_an_mbox_is_named(box: Box) -> None:
    """A symbolic link in place of an mbox is an error that names it."""
    box.file.symlink_to("bob")
    with pytest.raises(StoreError, match="is a link or not a file" + ending_in(box.file)):
        box.uids()


def test_a_file_beside_an_mbox_is_named(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error about a helper file names that file."""
    box.write(letter(1))
    lock = box.root / ".ann.restante"
    real = os.open

    def failing(name: str, flags: int, *args: int, **options: int) -> int:
        if name == lock.name:
            raise OSError(errno.EIO, "Input/output error", name)
        return real(name, flags, *args, **options)

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(StoreError, match="output error" + ending_in(lock)):
        box.uids()


def test_error_names_the_mbox(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a message cannot be read or removed, the error names the mbox."""
    box.write(letter(1))

    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def use() -> None:
        maildrop = await box.store.acquire("ann", 0)
        box.file.unlink()
        box.file.mkdir()
        with pytest.raises(StoreError, match=ending_in(box.file)):
            await maildrop.remove([0])
        for call in ("pread", "preadv"):
            monkeypatch.setattr(os, call, fail)
        with pytest.raises(StoreError, match=ending_in(box.file)):
            await whole(maildrop, 0)
        maildrop.release()

    asyncio.run(use())
