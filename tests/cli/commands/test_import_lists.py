"""`pop3 user import-lists`: the lists of one node become those of its cluster, or nothing serves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from restante.auth.app_passwords import uses
from restante.auth.app_passwords.file import create
from restante.auth.sql.cluster_locks import LockTable
from restante.cli.main import main
from restante.protocol.secret import Secret
from support.cluster import Cluster, execute
from support.passwords import quick_hash

CLUSTER = """\
[server]
listen = ["127.0.0.1:0"]
[mail]
format = "cluster"
[cluster]
postgresql_dsn_file = "dsn"
"""
LISTS = """\
[accounts]
locks = "locks"
app_passwords = "app-passwords"
"""
PHONE, LAPTOP, OTHER_PHONE, ORPHAN = (
    create(*whose, 0)[0]
    for whose in (("ann", "phone"), ("bob", "laptop"), ("ann", "phone"), ("nobody", "phone"))
)


@pytest.fixture
def dsn(cluster: Cluster, tmp_path: Path) -> Iterator[Secret]:
    """A cluster with two accounts, and a node with lists in files."""
    made = cluster.new_database()
    insert = "insert into account values ('ann', $1), ('bob', $1)"
    asyncio.run(execute(made, insert, quick_hash(b"secret")))
    (tmp_path / "dsn").write_bytes(made.reveal())
    (tmp_path / "node.toml").write_text(CLUSTER + LISTS)
    (tmp_path / "locks").write_text("# Locked\nAnn\n")
    (tmp_path / "app-passwords").write_text(f"{PHONE}\n{LAPTOP}\n")
    uses.merge(tmp_path / "app-passwords.used", {LAPTOP.key: 86_400})
    yield made
    cluster.drop(made)


def pop3(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--config", str(folder / "node.toml")])


def rows(folder: Path) -> list[tuple[str, str, str, str]]:
    listed = pop3(folder, "user", "app-password", "list", "--json").stdout
    return [tuple(json.loads(line).values()) for line in listed.splitlines()]


def test_copy(dsn: Secret, tmp_path: Path) -> None:
    """Locks and app passwords are copied once, with their dates, and the files stay."""
    before = {file: file.read_text() for file in tmp_path.iterdir()}
    copied = pop3(tmp_path, "user", "import-lists")
    assert (copied.exit_code, copied.stderr) == (0, "")
    assert copied.stdout.splitlines() == [
        "Locked ann.",
        f"{tmp_path}/locks: 1 of 1 locked accounts are in the cluster.",
        "Added the app password phone of ann.",
        "Added the app password laptop of bob.",
        f"{tmp_path}/app-passwords: 2 of 2 app passwords are in the cluster.",
    ]
    assert rows(tmp_path) == [
        ("ann", "phone", "1970-01-01T00:00:00Z", None),
        ("bob", "laptop", "1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"),
    ]
    again = pop3(tmp_path, "user", "import-lists")
    assert (again.exit_code, again.stdout.count("\n")) == (0, 2)
    assert before == {file: file.read_text() for file in tmp_path.iterdir()}


def test_what_cannot_be_copied(dsn: Secret, tmp_path: Path) -> None:
    """An entry that cannot be copied is named with the reason, and makes the command fail."""
    pop3(tmp_path, "user", "import-lists")
    pop3(tmp_path, "user", "app-password", "remove", "bob", "laptop")
    (tmp_path / "locks").write_text("bob\ncy\nd:d\n")
    lines = (LAPTOP, OTHER_PHONE, ORPHAN, "x")
    (tmp_path / "app-passwords").write_text("".join(f"{line}\n" for line in lines))
    copied = pop3(tmp_path, "user", "import-lists")
    assert copied.exit_code == 1
    assert "Locked bob." in copied.stdout
    assert "0 of 3 app passwords are in the cluster" in copied.stdout
    for said in (
        "cy was not locked: the table has no account of this name",
        "locks:3: this line locks no account",
        "laptop of bob was not added: the cluster has it as revoked",
        "phone of ann was not added: the account has another one of this label",
        "phone of nobody was not added: the table has no account of this name",
        "app-passwords:4: this app password cannot log in",
    ):
        assert said in copied.stderr


@pytest.mark.parametrize("name", ["locks", "app-passwords"])
def test_missing_file(dsn: Secret, tmp_path: Path, name: str) -> None:
    """A list that cannot be read is an error, not an empty list."""
    (tmp_path / name).unlink()
    copied = pop3(tmp_path, "user", "import-lists")
    assert copied.exit_code == 1
    assert f"{tmp_path}/{name}: No such file" in copied.stderr


@pytest.mark.parametrize("setting", ["locks", "app_passwords"])
def test_server_with_a_list(dsn: Secret, tmp_path: Path, setting: str) -> None:
    """A server that would forget a list does not serve, and its error says what to do."""
    lines = CLUSTER + "".join(
        f"{line}\n" for line in LISTS.splitlines() if line.startswith(("[", setting))
    )
    (tmp_path / "node.toml").write_text(lines)
    checked = CliRunner().invoke(main, ["config", "check", str(tmp_path / "node.toml")])
    assert checked.exit_code == 2
    advice = "`pop3 user import-lists` copies its entries to the cluster, then omit it"
    assert checked.stderr.count(f"accounts.{setting}: not in a cluster") == 1
    assert advice in checked.stderr
    noted = pop3(tmp_path, "user", "list")
    assert noted.stdout == "ann\nbob\n"
    assert f"Note: accounts.{setting} is a file of this node" in noted.stderr


def test_earlier_server(dsn: Secret, tmp_path: Path) -> None:
    """Locks in an accounts file are copied, and what the table cannot restrict is named."""
    file = tmp_path / "earlier.toml"
    file.write_text('[mail]\nfolder = "."\n[accounts]\nusers = "users"\n')
    (tmp_path / "users").touch(0o600)
    (tmp_path / "users").write_text(
        f"ann:{quick_hash(b'secret')}::::::allow_nets=192.0.2.0/24\nbob:!x\n"
    )
    copied = pop3(tmp_path, "user", "import-lists", "--from", str(file))
    assert copied.exit_code == 1
    assert copied.stdout.splitlines()[0] == "Locked bob."
    assert copied.stderr == "Note: ann: the cluster cannot have this: only from 192.0.2.0/24\n"


@pytest.mark.parametrize("source", ['pam = "restante"\n', 'users = "users"\n'])
def test_accounts_elsewhere(dsn: Secret, tmp_path: Path, source: str) -> None:
    """The lists over accounts of another source are copied, whatever accounts there are."""
    asyncio.run(execute(dsn, "delete from account"))
    (tmp_path / "node.toml").write_text(CLUSTER + LISTS + source)
    (tmp_path / "users").write_text("cy:!x\n")
    (tmp_path / "users").chmod(0o600)
    copied = pop3(tmp_path, "user", "import-lists")
    assert (copied.exit_code, copied.stderr) == (0, "")
    assert "Locked Ann." in copied.stdout
    assert "cy" not in copied.stdout  # its line locks it as before
    assert "2 of 2 app passwords are in the cluster" in copied.stdout
    assert [row[:2] for row in rows(tmp_path)] == [("ann", "phone"), ("bob", "laptop")]
    assert asyncio.run(LockTable(dsn).names()) == ["Ann"]
    assert pop3(tmp_path, "user", "import-lists").stdout.count("\n") == 2
    checked = CliRunner().invoke(main, ["config", "check", str(tmp_path / "node.toml")])
    assert checked.stderr.count("not in a cluster") == 2


def test_not_a_cluster(dsn: Secret, tmp_path: Path) -> None:
    """Without files, or with mail elsewhere, there is nothing to copy."""
    (tmp_path / "node.toml").write_text(CLUSTER)
    assert "names no list of this node" in pop3(tmp_path, "user", "import-lists").stderr
    (tmp_path / "node.toml").write_text('[mail]\nfolder = "."\n[accounts]\npam = "restante"\n')
    assert "its mail is not in a cluster" in pop3(tmp_path, "user", "import-lists").stderr
