"""A lock or a revocation at one node holds at the other one, whatever the source of accounts is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.protocol.secret import Secret
from support.cluster import Cluster, execute
from support.cluster_node import IN_FILE, NAMES, ServedNode, running_node
from support.command import Ran, pop3
from support.live import wait_until
from support.other_user import public_folder
from support.passwords import quick_hash
from support.programs import need_module
from support.slapd import BASE, LDIF, PERSON, SERVICE, Slapd, need_slapd

REFUSED = b"-ERR [AUTH]"
IN_TABLE = ""
LDAP = f"""\
[accounts]
ldap = "{{uri}}"
[ldap]
base = "{BASE}"
filter = "(uid={{{{user}}}})"
bind_dn = "{SERVICE}"
bind_password_file = "service"
"""


@pytest.fixture(scope="module")
def directory() -> Iterator[str]:
    """The sections of a configuration with accounts in LDAP."""
    need_module("ldap")
    need_slapd()
    with public_folder() as folder:
        made = Slapd(folder)
        made.add(LDIF + "\n".join(map(PERSON.format, NAMES)))
        made.start()
        yield LDAP.format(uri=made.uri)
        made.stop()


@pytest.fixture(params=["table", "file", "directory"])
def accounts(request: pytest.FixtureRequest) -> str:
    """The sections of a configuration with the accounts of Ann and Bob."""
    if request.param == "directory":
        found: str = request.getfixturevalue("directory")
        return found
    return IN_FILE if request.param == "file" else IN_TABLE


@pytest.fixture
def two_nodes(
    accounts: str, cluster: Cluster, tmp_path: Path
) -> Iterator[tuple[ServedNode, ServedNode]]:
    """Two nodes of a cluster, the second one with two workers."""
    dsn: Secret = cluster.new_database()
    if accounts == IN_TABLE:
        insert = "insert into account values ('ann', $1), ('bob', $1)"
        asyncio.run(execute(dsn, insert, quick_hash(b"secret")))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "service").write_text("hunter2")
    with (
        running_node(tmp_path / "one", dsn, lock=10, accounts=accounts) as one,
        running_node(tmp_path / "two", dsn, lock=10, accounts=accounts, workers=2) as two,
    ):
        yield one, two
    cluster.drop(dsn)


def user(tmp_path: Path, *arguments: str) -> Ran:
    """Run `pop3 user` at the first node."""
    return pop3("user", *arguments, "--config", tmp_path / "one" / "node.toml")


def test_lock(two_nodes: tuple[ServedNode, ServedNode], tmp_path: Path) -> None:
    """A lock at one node ends the session at the other one, where no login succeeds any more."""
    password = user(tmp_path, "app-password", "add", "ann", "phone").out.strip()
    _, two = two_nodes
    client, reply = two.log_in()
    assert reply.startswith(b"+OK")
    with client:
        locked = user(tmp_path, "lock", "ann")
        assert (locked.code, "at all nodes" in locked.out) == (0, True)
        for node in two_nodes:
            for each in ("secret", password):
                assert node.try_login("ann", each).startswith(REFUSED)
        assert client.read_line() == b""
    wait_until(lambda: 'user=ann method=password reason="locked by ' in two.log.read_text())
    listed = user(tmp_path, "list").out.splitlines()
    assert listed == ["ann  locked by the administrator, app passwords: phone", "bob"]
    assert user(tmp_path, "unlock", "ann").code == 0
    for each in ("secret", password):
        assert two.try_login("ann", each).startswith(b"+OK")


def test_app_password(two_nodes: tuple[ServedNode, ServedNode], tmp_path: Path) -> None:
    """An app password logs in at both nodes until one revokes it: that ends its session alone."""
    password = user(tmp_path, "app-password", "add", "ann", "Ann's phone").out.strip()
    one, two = two_nodes
    assert one.try_login("ann", password).startswith(b"+OK")
    (bob, _), (ann, reply) = two.log_in("bob"), two.log_in("ann", password)
    assert reply.startswith(b"+OK")
    with bob, ann:
        removed = user(tmp_path, "app-password", "remove", "ann", "Ann's phone")
        assert removed.out == "Revoked the app password Ann's phone of ann.\n"
        assert ann.read_line() == b""
        assert bob.say("NOOP").startswith(b"+OK")
        for node in two_nodes:
            assert node.try_login("ann", password).startswith(REFUSED)
            assert node.try_login("ann").startswith(b"+OK")
    ended = 'end="the account was removed, locked or changed"'
    wait_until(lambda: ended in two.log.read_text())
    (session,) = [line for line in two.log.read_text().splitlines() if ended in line]
    assert 'app_password="Ann\'s phone"' in session
    assert password not in two.log.read_text() + one.log.read_text()
