"""Sessions and mail survive failures of nodes and of PostgreSQL. Real servers, as users see it.

No test waits for a lease: PostgreSQL's clock decides, and a test sets the time in its row.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from restante.protocol.secret import Secret
from restante.quota import Quota
from restante.storage.cluster import ClusterStore
from support.cluster import execute, running_cluster, settings
from support.cluster_node import deliver, let_lease_end, running_node
from support.live import wait_until

LETTER, SECOND = b"Subject: a\r\n\r\nhello\r\n", b"Subject: b\r\n\r\nhello again\r\n"
OK, IN_USE = b"+OK Logged in.\r\n", b"-ERR [IN-USE] Another session holds this maildrop.\r\n"
LOST = (
    b"-ERR [SYS/TEMP] This session no longer holds the maildrop, and removed nothing; log in again."
    b"\r\n"
)
UNCHECKED = b"-ERR [SYS/TEMP] Logins cannot be checked now, try again later.\r\n"
UNANSWERED = b"-ERR [SYS/TEMP] The mail store does not answer now, try again later.\r\n"


def test_killed_node(dsn: Secret, tmp_path: Path) -> None:
    """Another node lets the user in once the lease of the killed one is over; nothing is lost."""
    deliver(dsn, LETTER, SECOND)
    with running_node(tmp_path / "a", dsn) as first, running_node(tmp_path / "b", dsn) as other:
        client, reply = first.log_in()
        assert reply == OK
        client.say("DELE 1")
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        client.close()
        assert other.try_login() == IN_USE
        let_lease_end(dsn)
        client, reply = other.log_in()
        with client:
            assert reply == OK
            assert client.say("STAT") == b"+OK 2 %d\r\n" % len(LETTER + SECOND)


def test_stopped_node(dsn: Secret, tmp_path: Path) -> None:
    """A node that stood still for longer than its lease removes nothing from under another one."""
    deliver(dsn, LETTER, SECOND)
    with running_node(tmp_path / "a", dsn) as zombie, running_node(tmp_path / "b", dsn) as other:
        old, reply = zombie.log_in()
        assert reply == OK
        for command in ("DELE 1", "DELE 2"):
            old.say(command)
        with zombie.stopped():
            let_lease_end(dsn)
            new, reply = other.log_in()
            assert reply == OK
        assert old.say("QUIT") == LOST
        for number in (1, 2):
            assert new.say(f"RETR {number}").startswith(b"+OK")
            new.read_lines()
        new.say("DELE 1")
        assert new.say("QUIT").startswith(b"+OK")
        assert len(asyncio.run(execute(dsn, "select from message"))) == 1
        old.close()
        new.close()


def test_session_of_a_silent_node(dsn: Secret, tmp_path: Path) -> None:
    """A session ends with the reason when its node learns that it was silent for too long."""
    deliver(dsn, LETTER)
    with running_node(tmp_path / "a", dsn, lease=1) as node:
        client, reply = node.log_in()
        assert reply == OK
        with node.stopped():
            let_lease_end(dsn)
        assert client.read_line() == LOST
        assert client.read_line() == b""
        client.close()
        wait_until(lambda: b'end="another node may have the maildrop"' in node.log.read_bytes())
        assert "the sessions of this node have lost their maildrops" in node.log.read_text()
        wait_until(lambda: node.try_login() == OK)  # under another name


def test_clean_end(dsn: Secret, tmp_path: Path) -> None:
    """A node that ends as it should leaves no lease, even of a session that it cut off."""
    deliver(dsn, LETTER)
    with running_node(tmp_path / "a", dsn) as first, running_node(tmp_path / "b", dsn) as other:
        client, reply = first.log_in()
        assert reply == OK
        client.acknowledge()  # the server waits for a client that may not have the reply yet
        first.process.terminate()
        assert first.process.wait() == 0
        client.close()
        assert other.try_login() == OK


def test_lost_database(tmp_path: Path) -> None:
    """Without PostgreSQL, clients get [SYS/TEMP], and all heals by itself once it is back."""
    with running_cluster() as cluster:
        dsn = cluster.used
        deliver(dsn, LETTER)
        cluster.server.stop()
        with running_node(tmp_path / "a", dsn) as node:  # it listens
            assert node.try_login() == UNCHECKED
            cluster.server.start()
            wait_until(lambda: node.try_login() == OK)
            client, reply = node.log_in()
            assert reply == OK
            client.say("DELE 1")
            cluster.server.stop()
            assert client.say("QUIT") == UNANSWERED
            client.close()
            assert node.try_login() == UNCHECKED
            cluster.server.start()
            wait_until(lambda: node.try_login() == OK)
            assert "hunter2" not in node.log.read_text()


def test_old_tables(own_dsn: Secret, tmp_path: Path) -> None:
    """A server does not start on tables that are too old, with workers and without."""
    asyncio.run(execute(own_dsn, "delete from schema_version where version > 1"))
    for workers in (1, 2):
        with pytest.raises(AssertionError, match="the server ended at once"):
            with running_node(tmp_path / str(workers), own_dsn, workers=workers):
                pass
        log = (tmp_path / str(workers) / "log").read_text()
        assert "the mail store cannot be opened: PostgreSQL has the tables of version 1" in log
        assert "run `pop3 store init`" in log


def test_delivery_whose_usage_is_not_known(dsn: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails after a delivery, its sender learns that it is there, and sends no second."""

    async def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    async def test() -> None:
        problems: list[str] = []
        store = ClusterStore(settings(dsn), problems.append)
        monkeypatch.setattr("restante.storage.cluster.store.read_usage", fail)
        async with store.open():
            stored = await store.deliver_within("ann", b"hello\n", Quota(1000))
            maildrop = await store.acquire("ann", 0)
            assert maildrop.contents.uids == (stored.uid,)
            maildrop.release()
        assert problems == ["after a delivery, the usage is not known: RuntimeError('a bug')"]

    asyncio.run(test())
