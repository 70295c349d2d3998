"""The store of docs/how-to/embed.md keeps what every store must, by the contract."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples.eml_store import EmlStore, uid_of
from restante.protocol.unique_id import is_valid_uid
from restante.storage.errors import PartialRemovalError, StoreError, UnsyncedRemovalError
from restante.storage.interfaces import Store
from storage.contract import *  # noqa: F403
from storage.contract import LETTER, everything, run

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return EmlStore(tmp_path)


def test_what_cannot_be_removed_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store reports which messages it could not remove."""

    async def test() -> None:
        first = await store.deliver("ann", LETTER)
        await store.deliver("ann", LETTER)
        maildrop = await store.acquire("ann", 0)
        unlink = Path.unlink

        def refuse(file: Path, *, missing_ok: bool) -> None:
            if uid_of(file) == first:
                raise PermissionError
            unlink(file, missing_ok=missing_ok)

        monkeypatch.setattr(Path, "unlink", refuse)
        with pytest.raises(PartialRemovalError) as caught:
            await maildrop.remove([0, 1])
        assert caught.value.remaining == [0]
        maildrop.release()

    run(test)


def test_any_name_of_a_file(store: Store, tmp_path: Path) -> None:
    """A file that came with any name has a valid unique-id, which stays."""
    folder = tmp_path / "ann"
    folder.mkdir()
    for name in ("a letter", "\xe9", "x" * 200, "line\nend"):
        (folder / f"{name}.eml").write_bytes(LETTER)

    async def uids() -> set[str]:
        maildrop = await store.acquire("ann", 0)
        maildrop.release()
        return set(maildrop.contents.uids)

    async def test() -> None:
        found = await uids()
        assert len(found) == 4
        assert all(is_valid_uid(uid) for uid in found)
        assert await uids() == found

    run(test)


def test_a_folder_that_cannot_be_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be read is an error, and no empty maildrop; the lock is released."""

    async def test() -> None:
        await store.deliver("ann", LETTER)
        with monkeypatch.context() as patch, pytest.raises(StoreError, match="Permission denied"):
            patch.setattr(os, "scandir", denied)
            patch.setattr(os, "listdir", denied)
            await store.acquire("ann", 0)
        (await store.acquire("ann", 0)).release()

    run(test)


def test_unsynced(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was removed and not synced is named so, and a delivery that fails leaves nothing."""

    async def test() -> None:
        await store.deliver("ann", LETTER)
        maildrop = await store.acquire("ann", 0)
        monkeypatch.setattr(os, "fsync", denied)
        with pytest.raises(UnsyncedRemovalError) as caught:
            await maildrop.remove([0])
        assert caught.value.remaining == []
        maildrop.release()
        with pytest.raises(StoreError):
            await store.deliver("ann", LETTER)
        assert await everything(store) == {}

    run(test)


def test_the_lock_holds_between_processes(store: Store, tmp_path: Path) -> None:
    """A session in another process is rejected until the first one ends."""

    async def test() -> None:
        maildrop = await store.acquire("ann", 0)
        assert "BusyError: the maildrop of ann is in use" in acquire_elsewhere(tmp_path)
        maildrop.release()
        assert acquire_elsewhere(tmp_path) == ""

    run(test)


def denied(*_: object) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


ACQUIRE = """
import asyncio, sys
from pathlib import Path
from examples.eml_store import EmlStore
asyncio.run(EmlStore(Path(sys.argv[1])).acquire("ann", 0))
"""


def acquire_elsewhere(folder: Path) -> str:
    """Return the errors of another process that acquires the maildrop."""
    command = [sys.executable, "-c", ACQUIRE, str(folder)]
    return subprocess.run(command, cwd=DOCS, capture_output=True, text=True, check=False).stderr
