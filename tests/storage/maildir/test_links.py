"""A user that replaces the own Maildir with a link reaches no other user's mail."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from restante.storage.errors import StoreError
from restante.storage.maildir import MaildirStore
from restante.storage.paths import Layout
from storage.contract import whole
from storage.maildir.box import Quick

CALLS = ("open", "lstat", "scandir", "listdir", "stat", "unlink", "mkdir", "rename")
LONG_AGO = 1_000_000_000


class Homes:
    """Ann and Bob, each with a Maildir in a home folder, and a server that serves both."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for user in ("ann", "bob"):
            for part in ("tmp", "new", "cur"):
                (root / user / "Maildir" / part).mkdir(parents=True)
            file = root / user / "Maildir/new/1.a"
            file.write_bytes(b"for %s\n" % user.encode())
            os.utime(file, (1, 1))
        self.maildir = root / "ann/Maildir"
        self.restart()

    def restart(self) -> None:
        self.store = MaildirStore(Layout(self.root, "{user}/Maildir"), latency=Quick())

    def swap(self) -> None:
        """Put a link to Bob's Maildir in the place of Ann's."""
        self.maildir.rename(self.root / "ann/aside")
        self.maildir.symlink_to(self.root / "bob/Maildir")

    def swap_back(self) -> None:
        if self.maildir.is_symlink():
            self.maildir.unlink()
            (self.root / "ann/aside").rename(self.maildir)

    @property
    def bobs(self) -> list[bytes]:
        return [file.read_bytes() for file in (self.root / "bob/Maildir/new").iterdir()]

    def session(self) -> bytes:
        """Read Ann's first message, delete it, and return it."""

        async def run() -> bytes:
            maildrop = self.store.open_cached("ann") or await self.store.acquire("ann", 0)
            try:
                message = await whole(maildrop, 0)
                await maildrop.remove([0])
                return message
            finally:
                maildrop.release()

        return asyncio.run(run())


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    return Homes(tmp_path / "mail")


@pytest.mark.parametrize("dry_run", [True, False])
def test_expire_follows_no_link(homes: Homes, dry_run: bool) -> None:
    """Expiry rejects a link to another user's Maildir, and removes none of his mail."""
    homes.swap()
    with pytest.raises(StoreError, match="symbolic link"):
        asyncio.run(homes.store.expire("ann", 1, dry_run=dry_run))
    assert homes.bobs == [b"for bob\n"]


def test_a_warm_login_follows_no_link(homes: Homes) -> None:
    """A login that reads from memory rejects a link like a first login does."""
    warm(homes)
    homes.swap()
    assert homes.store.open_cached("ann") is None
    with pytest.raises(StoreError, match="symbolic link"):
        homes.session()


@pytest.mark.parametrize("known", [True, False])
def test_a_link_at_any_call_reaches_no_other_mail(
    homes: Homes, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    """Ann exchanges her Maildir for a link between any two calls of her session."""
    for number in range(1, 100):
        homes.restart()
        (homes.maildir / "new/1.a").write_bytes(b"for ann\n")
        if known:
            warm(homes)
        with monkeypatch.context() as patched:
            swapped = at_call(number, homes.swap, patched)
            with contextlib.suppress(StoreError):
                assert homes.session() == b"for ann\n"
        homes.swap_back()
        assert homes.bobs == [b"for bob\n"]
        if not swapped():
            return
    pytest.fail("a session of a hundred calls")


def warm(homes: Homes) -> None:
    """Let the store know Ann's Maildir as one that has not changed for long."""

    async def run() -> None:
        (await homes.store.acquire("ann", 0)).release()
        for part in ("new", "cur"):
            os.utime(homes.maildir / part, (LONG_AGO, LONG_AGO))
        (await homes.store.acquire("ann", 0)).release()
        maildrop = homes.store.open_cached("ann")
        assert maildrop is not None
        maildrop.release()

    asyncio.run(run())


def at_call(
    number: int, act: Callable[[], None], patched: pytest.MonkeyPatch
) -> Callable[[], bool]:
    """Act before the so-many-th call of those that name files; return what says whether it did."""
    count = 0

    def counting(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                act()
            return call(*arguments, **options)

        return counted

    for name in CALLS:
        patched.setattr(os, name, counting(getattr(os, name)))
    return lambda: count >= number
