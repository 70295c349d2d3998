"""`pop3 store move`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.commands.store.mail_folder import MESSAGE, put, write_configurations
from restante.protocol.secret import Secret
from support.cluster import Cluster, execute
from support.command import Ran, pop3

LDAP = 'ldap = "ldap://127.0.0.1:1"\n[ldap]\nbase = "dc=x"'


@pytest.fixture
def second(cluster: Cluster) -> Iterator[Secret]:
    made = cluster.new_database(empty=True)
    yield made
    cluster.drop(made)


@pytest.fixture
def folder(tmp_path: Path, dsn: Secret, second: Secret) -> Path:
    write_configurations(tmp_path, dsn.reveal(), second.reveal())
    return tmp_path


def store(folder: Path, *words: str, stdin: bytes = b"") -> Ran:
    return pop3("store", words[0], "-c", str(folder / "cluster.toml"), *words[1:], stdin=stdin)


def test_move(folder: Path, second: Secret) -> None:
    """From init over import and move to a delivery into the new database, and to an export."""
    made = store(folder, "init")
    assert made.out.count("database first already has") == 1
    assert made.out.count("database second has the tables") == 1
    put(folder, "ann", "1.a")
    assert store(folder, "import", "--from", str(folder / "maildir.toml")).code == 0
    done = store(folder, "move", "ann", "--to", "second")
    assert (done.code, done.out) == (0, "The mail of ann is in the database second now.\n")
    again = store(folder, "move", "ann", "--to", "second")
    assert again.out == "The mail of ann already is in the database second.\n"
    config = str(folder / "cluster.toml")
    assert pop3("deliver", "ann", "-c", config, stdin=MESSAGE).code == 0
    rows = asyncio.run(execute(second, "select owner, messages from box"))
    assert [tuple(row.values()) for row in rows] == [("ann", 2)]
    (folder / "out").mkdir()
    exported = store(folder, "export", "--to", str(folder / "out"))
    assert exported.out.startswith("1 maildrop: 2 messages added")


def test_unknown_user(folder: Path) -> None:
    """A name with neither mail nor an account is an error, unless it is said to be a new one."""
    store(folder, "init")
    done = store(folder, "move", "zoe", "--to", "second")
    assert (done.code, done.out) == (1, "")
    text = (
        "the account zoe does not exist, and the cluster has no mail of this name; correct it, or"
    )
    assert text in done.err
    for words in (("zoe", "--new"), ("ann",)):
        done = store(folder, "move", *words, "--to", "second")
        assert (done.code, "is in the database second now" in done.out) == (0, True)
    done = store(folder, "move", "zoe", "--to", "first")
    assert (done.code, done.out) == (0, "The mail of zoe is in the database first now.\n")


@pytest.mark.parametrize(
    ("name", "text"),
    [("", "the name is empty"), ("../ann", "a name must "), ("\x01ann", "a name must ")],
)
def test_invalid_new_user(folder: Path, name: str, text: str) -> None:
    """A name that no account can have is not placed."""
    done = store(folder, "move", name, "--new", "--to", "second")
    assert (done.code, text in done.err) == (2, True)


def test_mail_without_an_account(folder: Path, dsn: Secret) -> None:
    """Mail of an account that is gone can be moved, also if the accounts cannot be asked."""
    store(folder, "init")
    put(folder, "old", "1.a")
    assert store(folder, "import", "--from", str(folder / "maildir.toml"), "old").code == 0
    config = folder / "cluster.toml"
    config.write_text(config.read_text().replace('users = "users"', f"{LDAP}"))
    assert store(folder, "move", "old", "--to", "second").code == 0
    done = store(folder, "move", "zoe", "--to", "second")
    assert (done.code, "LDAP" in done.err, "--new" in done.err) == (1, True, True)


def test_default_domain(folder: Path, second: Secret) -> None:
    """A name without a domain is that of the account, as in a login."""
    store(folder, "init")
    config = folder / "cluster.toml"
    config.write_text(config.read_text() + '[login]\ndefault_domain = "example.com"\n')
    users = folder / "users"
    users.write_text(users.read_text().replace("ann:", "ann@example.com:"))
    done = store(folder, "move", "ann", "--to", "second")
    assert done.out == "The mail of ann@example.com is in the database second now.\n"
    assert pop3("deliver", "ann@example.com", "-c", str(config), stdin=MESSAGE).code == 0
    rows = asyncio.run(execute(second, "select owner, messages from box"))
    assert [tuple(row.values()) for row in rows] == [("ann@example.com", 1)]
    (folder / "out").mkdir()
    exported = store(folder, "export", "--to", str(folder / "out"), "ann")
    assert exported.out.startswith("1 maildrop: 1 message added")


def test_an_unknown_shard(folder: Path) -> None:
    """The error names the databases that there are."""
    done = store(folder, "move", "ann", "--to", "third")
    assert done.code == 2
    assert "expected one of first, second" in done.err


def test_shards_with_one_bucket(folder: Path) -> None:
    """Two databases cannot have their bodies in the same place."""
    (folder / "objects").mkdir()
    config = folder / "cluster.toml"
    place = f'objects = "{folder}/objects"\n'
    text = config.read_text().replace('"dsn"\n', f'"dsn"\n{place}')
    config.write_text(text.replace('"dsn2"\n', f'"dsn2"\n{place}'))
    done = store(folder, "init")
    assert done.code == 2
    assert "cluster.shards.second.objects: another database uses it" in done.err
