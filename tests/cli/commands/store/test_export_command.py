"""`pop3 store export`: Maildirs that Restante and Dovecot serve with the same unique-ids."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from cli.commands.store.mail_folder import put, write_configurations
from restante.protocol.secret import Secret
from restante.storage.cluster import ClusterStore
from restante.storage.maildir import DovecotUniqueIds, MaildirStore
from restante.storage.paths import Layout
from storage.contract import everything
from support.cluster import settings
from support.command import Ran, pop3
from support.dovecot import dovecot
from support.other_user import public_folder
from support.programs import need


@pytest.fixture
def folder(tmp_path: Path, dsn: Secret) -> Path:
    write_configurations(tmp_path, dsn.reveal())
    (tmp_path / "out").mkdir()
    return tmp_path


def run(folder: Path, *words: str) -> Ran:
    place = str(folder / "out")
    return pop3("store", "export", "-c", str(folder / "cluster.toml"), "--to", place, *words)


async def fill(dsn: Secret) -> dict[str, bytes]:
    """Deliver some mail, and return what a client finds."""
    store = ClusterStore(settings(dsn))
    async with store.open():
        for number in range(3):
            await store.deliver("ann", b"Subject: %d\n\nhello\n" % number)
        return await everything(store)


def exported(place: Path) -> dict[str, bytes]:
    store = MaildirStore(Layout(place), DovecotUniqueIds("%08Xu%08Xv"))
    return asyncio.run(everything(store))


def test_export(folder: Path, dsn: Secret) -> None:
    """Restante serves the Maildirs with the same messages, order and unique-ids."""
    mail = asyncio.run(fill(dsn))
    done = run(folder)
    assert (done.code, done.err) == (0, "")
    assert done.out == "1 maildrop: 3 messages added (63 B), 0 removed, 0 already there.\n"
    assert list(exported(folder / "out").items()) == list(mail.items())


def test_unknown_user(folder: Path, dsn: Secret) -> None:
    """A name without mail is a problem, and the others are exported."""
    asyncio.run(fill(dsn))
    done = run(folder, "zoe", "ann")
    assert (done.code, done.out.partition(" (")[0]) == (1, "1 maildrop: 3 messages added")
    assert done.err == "zoe: the cluster has no mail of this name\n"


def test_a_second_run(folder: Path, dsn: Secret) -> None:
    """Messages that a client removed leave the export, and new ones are added after the rest."""

    async def use() -> dict[str, bytes]:
        store = ClusterStore(settings(dsn))
        async with store.open():
            maildrop = await store.acquire("ann", 0)
            await maildrop.remove([0])
            maildrop.release()
        return await fill(dsn)

    asyncio.run(fill(dsn))
    run(folder)
    mail = asyncio.run(use())
    assert run(folder).out == "1 maildrop: 3 messages added (63 B), 1 removed, 2 already there.\n"
    assert list(exported(folder / "out").items()) == list(mail.items())


def test_there_and_back(folder: Path) -> None:
    """Mail that was imported goes back with its unique-ids and dates."""
    put(folder, "ann", "1424693977.M84P2712.mail")
    put(folder, "ann", "1424693978.M85P2712.mail", b"no end")
    config = str(folder / "cluster.toml")
    source = str(folder / "maildir.toml")
    assert pop3("store", "import", "-c", config, "--from", source).code == 0
    assert run(folder, "--layout", "{user}/Maildir", "ann").code == 0
    layout = Layout(folder / "out", "{user}/Maildir")
    store = MaildirStore(layout, DovecotUniqueIds("%08Xu%08Xv"))
    before = asyncio.run(everything(MaildirStore(Layout(folder / "mail"))))
    assert asyncio.run(everything(store)) == before
    times = sorted(file.stat().st_mtime for file in (layout.folder("ann") / "new").iterdir())
    assert times == [1424693977, 1424693978]


def test_a_folder_with_other_mail(folder: Path, dsn: Secret) -> None:
    """A Maildir that no export has written is left as it is."""
    asyncio.run(fill(dsn))
    (folder / "out" / "ann" / "new").mkdir(parents=True)
    (folder / "out" / "ann" / "new" / "1.a").write_bytes(b"other mail\n")
    done = run(folder)
    assert done.code == 1
    assert "ann: the Maildir contains mail that no export has written" in done.err
    assert os.listdir(folder / "out" / "ann" / "new") == ["1.a"]


def test_a_bad_layout(folder: Path) -> None:
    """A layout without the user is a usage error."""
    done = run(folder, "--layout", "mail")
    assert done.code == 2
    assert "--layout" in done.err


@pytest.mark.parametrize("form", ["%08Xu%08Xv", "%g"])
def test_dovecot_gives_the_same_unique_ids(folder: Path, dsn: Secret, form: str) -> None:
    """Dovecot serves the Maildirs with the unique-ids of the cluster, whatever its format is."""
    need("dovecot")
    mail = asyncio.run(fill(dsn))
    with (
        public_folder() as place,
        dovecot(place, "secret", f"pop3_uidl_format = {form}\n") as server,
    ):
        for _ in range(2):
            config = str(folder / "cluster.toml")
            done = pop3("store", "export", "-c", config, "--to", str(place / "mail"))
            assert done.code == 0, done.err
            found = pop3("uidl", f"pop3://ann@127.0.0.1:{server.port}", password="secret")
            assert [line.split()[1] for line in found.out.splitlines()] == list(mail)
        shown = pop3("show", f"pop3://ann@127.0.0.1:{server.port}", 3, "--raw", password="secret")
        assert shown.out.replace("\r\n", "\n").encode() == list(mail.values())[2]
