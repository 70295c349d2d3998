"""The junk folder of a Maildir, as a maildrop of its own with the quota of the account."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from restante.junk import junk_of
from restante.quota import MailUsage, Quota
from restante.storage.errors import OverQuotaError
from restante.storage.maildir import MaildirStore, quota
from restante.storage.maildir.deleted import DELETED_FOLDER
from restante.storage.paths import Layout
from storage.contract import count_swept, everything, run

MAIL = b"Subject: a\n\nhello\n"  # 18 octets
JUNK = junk_of("ann")


@pytest.fixture
def store(tmp_path: Path) -> MaildirStore:
    return MaildirStore(Layout(tmp_path, "{user}", "{user}/.Junk"), keep_deleted=True)


def test_apart(store: MaildirStore) -> None:
    """Mail of the one maildrop is not in the other one, and each has its own lock."""
    asyncio.run(store.deliver("ann", b"a\n"))
    asyncio.run(store.deliver(JUNK, b"b\n"))

    async def read_both() -> list[list[bytes]]:
        held = await store.acquire("ann", 0)
        try:
            junk = await everything(store, JUNK)
        finally:
            held.release()
        return [list((await everything(store)).values()), list(junk.values())]

    assert run(read_both) == [[b"a\n"], [b"b\n"]]


def test_missing(store: MaildirStore, tmp_path: Path) -> None:
    """A folder that does not exist is empty, and reading makes none."""
    assert run(lambda: everything(store, JUNK)) == {}
    assert list(tmp_path.iterdir()) == []


def test_marked_as_subfolder(store: MaildirStore, tmp_path: Path) -> None:
    """A folder that a delivery makes has the file by which Maildir++ knows subfolders."""
    asyncio.run(store.deliver(JUNK, MAIL))
    assert (tmp_path / "ann/.Junk/maildirfolder").is_file()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owner_of_all_files(store: MaildirStore, tmp_path: Path) -> None:
    """All that root writes into a Maildir belongs to the owner of its folder."""
    (tmp_path / "ann").mkdir()
    os.chown(tmp_path / "ann", 1234, 2345)
    for owner in ("ann", JUNK):
        for _ in range(2):
            asyncio.run(store.deliver_within(owner, MAIL, Quota(1000)))
    asyncio.run(remove_first(store))
    run(lambda: everything(store))
    made = list((tmp_path / "ann").rglob("*"))
    assert {"restante.usage", "maildirfolder", DELETED_FOLDER} <= {file.name for file in made}
    others = [file for file in made if (file.stat().st_uid, file.stat().st_gid) != (1234, 2345)]
    assert others == []


def test_a_mark_of_another_program_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root gives no file to the user that the user has put there: it may be a link to another's."""
    given: list[int] = []
    monkeypatch.setattr(quota, "chown_like_parent", lambda file, _: given.append(file))
    other = tmp_path / "other"
    other.touch()
    (tmp_path / "maildirfolder").hardlink_to(other)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        quota.mark_subfolder(folder)
    finally:
        os.close(folder)
    assert given == []


def test_one_quota(store: MaildirStore, tmp_path: Path) -> None:
    """Junk counts for the quota of the account, and removing it makes room."""
    limit = Quota(40)
    asyncio.run(store.deliver_within("ann", MAIL, limit))
    stored = asyncio.run(store.deliver_within(JUNK, MAIL, limit))
    assert stored.usage == MailUsage(36, 2)
    for owner in ("ann", JUNK):
        with pytest.raises(OverQuotaError):
            asyncio.run(store.deliver_within(owner, MAIL, limit))
    assert asyncio.run(store.find_usage("ann", limit))[0] == MailUsage(36, 2)
    assert asyncio.run(store.find_usage(JUNK, limit))[0] == MailUsage(18, 1)

    asyncio.run(remove_first(store))
    assert (tmp_path / "ann/restante.usage").read_bytes().endswith(b"\n-18 -1\n")
    assert asyncio.run(store.find_usage("ann", limit))[0] == MailUsage(18, 1)
    assert asyncio.run(store.deliver_within("ann", MAIL, limit)).usage == MailUsage(36, 2)


async def remove_first(store: MaildirStore) -> None:
    maildrop = await store.acquire(JUNK, 0)
    await maildrop.remove([0])
    maildrop.release()


def test_expiry_and_undeletion(store: MaildirStore, tmp_path: Path) -> None:
    """Old junk expires into its own folder and returns, and the quota of the account counts it."""
    limit = Quota(100)
    asyncio.run(store.deliver_within("ann", MAIL, limit))
    asyncio.run(store.deliver_within(JUNK, MAIL, limit))
    sums = tmp_path / "ann/restante.usage"
    (gone,) = asyncio.run(store.expire(JUNK, 0))
    assert [each.uid for each in asyncio.run(store.list_deleted(JUNK))] == [gone.uid]
    assert asyncio.run(store.list_deleted("ann")) == []
    assert sums.read_bytes().endswith(b"\n-18 -1\n")
    assert [each.uid for each in asyncio.run(store.undelete(JUNK, [gone.uid]))] == [gone.uid]
    assert sums.read_bytes().endswith(b"\n18 1\n")
    assert list(run(lambda: everything(store, JUNK))) == [gone.uid]


def test_removed_junk_is_swept(store: MaildirStore) -> None:
    """A message that a session removed from the junk maildrop is swept in the end."""
    asyncio.run(store.deliver(JUNK, MAIL))

    asyncio.run(remove_first(store))
    problems: list[str] = []
    assert asyncio.run(count_swept(store, 0, lambda _, problem: problems.append(problem))) == 1
    assert problems == []
