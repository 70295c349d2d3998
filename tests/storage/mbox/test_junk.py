"""The junk mbox of a user."""

from __future__ import annotations

import asyncio
from pathlib import Path

from restante.junk import junk_of
from restante.storage.mbox import MboxStore
from restante.storage.paths import Layout
from storage.contract import everything, run


def test_second_file(tmp_path: Path) -> None:
    """The junk is a second file, and a missing one is an empty maildrop."""
    store = MboxStore(Layout(tmp_path, "{user}", "junk/{user}"))
    junk = junk_of("ann")
    assert run(lambda: everything(store, junk)) == {}
    asyncio.run(store.deliver("ann", b"a\n"))
    asyncio.run(store.deliver(junk, b"b\n"))
    assert list(run(lambda: everything(store, junk)).values()) == [b"b\n"]
    assert list(run(lambda: everything(store)).values()) == [b"a\n"]
    assert (tmp_path / "junk" / "ann").is_file()


def test_expiry_and_undeletion(tmp_path: Path) -> None:
    """Old junk expires beside its own mbox, and returns."""
    store = MboxStore(Layout(tmp_path, "{user}", "junk/{user}"), keep_deleted=True)
    junk = junk_of("ann")
    uid = asyncio.run(store.deliver(junk, b"b\n"))
    assert [each.uid for each in asyncio.run(store.expire(junk, 0))] == [uid]
    assert asyncio.run(store.list_deleted("ann")) == []
    assert [each.uid for each in asyncio.run(store.undelete(junk, [uid]))] == [uid]
    assert run(lambda: everything(store, junk)) == {uid: b"b\n"}
