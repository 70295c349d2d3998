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
