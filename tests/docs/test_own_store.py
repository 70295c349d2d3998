"""The store of docs/how-to/embed.md keeps what every store must, by the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.eml_store import EmlStore
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
            if file.stem == first:
                raise PermissionError
            unlink(file, missing_ok=missing_ok)

        monkeypatch.setattr(Path, "unlink", refuse)
        with pytest.raises(PartialRemovalError) as caught:
            await maildrop.remove([0, 1])
        assert caught.value.remaining == [0]
        maildrop.release()

    run(test)
