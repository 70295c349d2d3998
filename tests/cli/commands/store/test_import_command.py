"""`pop3 store import`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from cli.commands.store.mail_folder import put, write_configurations
from restante.protocol.secret import Secret
from support.cluster import execute
from support.command import Ran, pop3

COUNT = "select owner, messages from box order by owner"


@pytest.fixture
def folder(tmp_path: Path, dsn: Secret) -> Path:
    write_configurations(tmp_path, dsn.reveal())
    return tmp_path


def run(folder: Path, *words: str) -> Ran:
    source = str(folder / "maildir.toml")
    return pop3("store", "import", "-c", str(folder / "cluster.toml"), "--from", source, *words)


def boxes(dsn: Secret) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in asyncio.run(execute(dsn, COUNT))]


def test_import(folder: Path, dsn: Secret) -> None:
    """All maildrops go over, and a second run adds nothing."""
    put(folder, "ann", "1.a")
    put(folder, "ann", "2.b")
    put(folder, "bob", "1.a")
    done = run(folder)
    assert (done.code, done.err) == (0, "")
    assert done.out == "2 maildrops: 3 messages added (75 B), 0 removed, 0 already there.\n"
    assert boxes(dsn) == [("ann", 2), ("bob", 1)]
    again = run(folder, "--json")
    assert json.loads(again.out) == {
        "maildrops": 2, "added": 0, "octets": 0, "removed": 0, "present": 3, "problems": 0,
    }  # fmt: skip


def test_some_users(folder: Path, dsn: Secret) -> None:
    """Names on the command line are the users whose mail is imported."""
    put(folder, "ann", "1.a")
    put(folder, "bob", "1.a")
    done = run(folder, "bob", "eve")
    assert done.code == 1
    assert done.err == "eve: the user has no maildrop\n"
    assert done.out.endswith(" 1 problem: see above, and run the command again.\n")
    assert boxes(dsn) == [("bob", 1)]
    assert not (folder / "mail" / "eve").exists()


def test_a_damaged_message(folder: Path, dsn: Secret) -> None:
    """It is named, the others are imported, and the exit code is 1."""
    put(folder, "ann", "1.a")
    put(folder, "ann", "2.b", b"\x28\xb5\x2f\xfd of zstd")
    done = run(folder)
    assert done.code == 1
    assert "ann: message 2.b: a message cannot be opened" in done.err
    assert boxes(dsn) == [("ann", 1)]


def test_a_cluster_as_the_source(folder: Path) -> None:
    """Mail of a cluster is moved by other means."""
    file = str(folder / "cluster.toml")
    done = pop3("store", "import", "-c", file, "--from", file)
    assert done.code == 2
    assert "--from requires Maildirs or mboxes" in done.err


def test_a_database_that_is_down(folder: Path) -> None:
    """The error says what failed, and shows no password."""
    (folder / "dsn").write_text("postgresql://ann:hunter2@127.0.0.1:1/mail")
    put(folder, "ann", "1.a")
    done = run(folder)
    assert done.code == 1
    assert "PostgreSQL" in done.err
    assert "run the command again" in done.err
    assert "hunter2" not in done.err


def test_mboxes(folder: Path, dsn: Secret) -> None:
    """The mboxes of a server are imported, but not their locks."""
    config = (folder / "maildir.toml").read_text()
    (folder / "maildir.toml").write_text(
        config.replace("[accounts]", 'format = "mbox"\n[accounts]', 1)
    )
    (folder / "mail" / "ann").write_bytes(
        b"From eve@example.com Tue Nov 24 22:00:46 2026\nSubject: a\n\nhello\n\n"
        b"From eve@example.com Wed Nov 25 22:00:46 2026\nSubject: b\n\n>From me\n\n"
    )
    (folder / "mail" / "bob").write_bytes(b"not an mbox\n")
    (folder / "mail" / "ann.lock.old").mkdir()
    done = run(folder)
    assert done.code == 1
    assert "bob: the file is not an mbox" in done.err
    assert done.out.startswith("1 maildrop: 2 messages added")
    assert boxes(dsn) == [("ann", 2)]
