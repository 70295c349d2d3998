"""The store of docs/how-to/embed.md keeps what every store must, by the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.eml_store import EmlStore, uid_of
from restante.protocol.unique_id import is_valid_uid
from restante.storage.interfaces import PartialRemovalError, Store
from storage.contract import *  # noqa: F403
from storage.contract import LETTER, run


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
