"""One file that the disk does not give up hides no other message."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

from restante.storage.errors import StoreError
from restante.storage.maildir import MaildirStore
from restante.storage.paths import Layout
from storage.contract import whole

BAD, OLD = "1.M1P1.host", 1_000_000_000


@pytest.fixture
def maildir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a Maildir of three messages, of which the first cannot be examined."""
    for name in ("new", "cur", "tmp"):
        (tmp_path / "ann" / name).mkdir(parents=True)
    for number in range(1, 4):
        file = tmp_path / "ann" / "new" / f"{number}.M1P1.host"
        file.write_bytes(b"Subject: %d\n\n" % number)
        os.utime(file, (OLD, OLD))
    for call in ("stat", "open"):
        monkeypatch.setattr(os, call, broken(getattr(os, call)))
    return tmp_path


def broken(call: Any) -> Any:
    def instead(name: Any, *args: Any, **options: Any) -> Any:
        if isinstance(name, str) and name.endswith(BAD):
            raise OSError(errno.EIO, "Input/output error")
        return call(name, *args, **options)

    return instead


@pytest.mark.parametrize("owner", [-1, 0])
def test_login(maildir: Path, monkeypatch: pytest.MonkeyPatch, owner: int) -> None:
    """The login works, UIDL shows all, and RETR of the bad message alone fails."""
    monkeypatch.setattr("restante.storage.maildir.locked_folder.folder_owner", lambda _: owner)
    store = MaildirStore(Layout(maildir))

    async def session() -> None:
        for _ in range(2):
            maildrop = await store.acquire("ann", 0)
            assert list(maildrop.contents.uids) == [f"{number}.M1P1.host" for number in (1, 2, 3)]
            assert await whole(maildrop, 1) == b"Subject: 2\n\n"
            with pytest.raises(StoreError, match="output error"):
                await whole(maildrop, 0)
            maildrop.release()
            (maildir / "ann" / "new" / "4.M1P1.host").touch()
            (maildir / "ann" / "new" / "4.M1P1.host").unlink()

    asyncio.run(session())


def test_bad_file_that_is_new(maildir: Path) -> None:
    """A bad message that came since the last login is shown like the others."""
    store = MaildirStore(Layout(maildir))
    bad = maildir / "ann" / "new" / BAD
    aside = maildir / "aside"
    bad.rename(aside)
    os.utime(maildir / "ann" / "new", (OLD, OLD))

    async def session() -> list[str]:
        maildrop = await store.acquire("ann", 0)
        maildrop.release()
        return list(maildrop.contents.uids)

    assert len(asyncio.run(session())) == 2
    aside.rename(bad)
    assert len(asyncio.run(session())) == 3
    assert len(asyncio.run(session())) == 3


def test_expiry(maildir: Path) -> None:
    """Old mail expires, except for the message of unknown age."""
    told: list[tuple[str, str]] = []
    store = MaildirStore(Layout(maildir), on_skipped=lambda *problem: told.append(problem))
    assert time.time() - OLD > 24 * 60 * 60
    due = asyncio.run(store.expire("ann", 1))
    assert [message.uid for message in due] == ["2.M1P1.host", "3.M1P1.host"]
    assert os.listdir(maildir / "ann" / "new") == [BAD]
    ((user, problem),) = told
    assert user == "ann"
    assert problem.endswith(f"new/{BAD}")
