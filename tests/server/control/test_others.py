"""Two nodes of a cluster: an administrator of one sees and ends the sessions of both."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
import structlog

from restante.protocol.secret import Secret
from restante.server.connection.administered import AdministeredConnection
from restante.server.context import ServerContext
from restante.server.control import asking, holders, others
from restante.server.control.messages import SUFFIX, Action, ControlReply, ControlRequest
from restante.server.control.service import ControlService
from restante.storage.memory import MemoryStore
from restante.storage.peers import PeerAnswers, PeerNode
from support.cluster import Cluster, execute
from support.command import Ran, pop3
from support.live import Client, Live, wait_until
from support.live_node import live_node
from support.passwords import Passwords
from support.thread import PATIENCE

MAIL = b"Subject: a\n\nhello\n"
OK = b"+OK Logged in.\r\n"


class Pair:
    """Two nodes, with control sockets in a folder for each."""

    def __init__(self, dsn: Secret, folder: Path, stack: ExitStack) -> None:
        self.dsn = dsn
        self._stack = stack
        self._folder = folder / "first"
        self.first, self.second = (
            stack.enter_context(
                live_node(
                    dsn, folder / name, take_over=True, name_holder=True, lock_timeout=timeout
                )
            )
            for name, timeout in (("first", 0), ("second", PATIENCE))
        )

    def ask(self, command: str, *arguments: str) -> Ran:
        """Run a command at the first node."""
        return pop3(command, *arguments, "--control", self._folder)

    def log_in(self, node: Live) -> tuple[Client, bytes]:
        """Return a client, and the reply to its password."""
        client = self._stack.enter_context(node.connect())
        client.read_line()
        client.say("USER ann")
        return client, client.say("PASS secret")

    def execute(self, sql: str, *arguments: object) -> None:
        asyncio.run(execute(self.dsn, sql, *arguments))


@pytest.fixture
def pair(cluster: Cluster, tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(cluster.clean_database(), tmp_path, stack)


@pytest.mark.parametrize("who", ["ann", "127.0.0.1", "session"])
def test_kick_at_another_node(pair: Pair, who: str) -> None:
    """The session of a user, an address or an id is shown, and ends; nothing is lost."""
    pair.second.add("ann", "secret", MAIL)
    client, reply = pair.log_in(pair.second)
    assert reply == OK
    client.say("DELE 1")
    row = json.loads(pair.ask("sessions", "--json").out)
    assert (row["user"], row["node"]) == ("ann", socket.gethostname())
    ran = pair.ask("kick", row.get(who, who))
    assert (ran.code, ran.out) == (0, "Ended 1 session.\n")
    assert client.read_all() == b""
    pair.second.wait_for_log(f" session={row['session']} asked_at={socket.gethostname()}\n")
    assert pair.ask("kick", row.get(who, who)).code == 1
    client, _ = pair.log_in(pair.first)
    assert client.say("STAT") == b"+OK 1 21\r\n"


def test_take_over_between_nodes(pair: Pair) -> None:
    """A login ends an idle session at another node; what that had marked stays."""
    pair.first.add("ann", "secret", MAIL)
    client, _ = pair.log_in(pair.first)
    client.say("DELE 1")
    other, reply = pair.log_in(pair.second)
    assert (reply, client.read_all()) == (OK, b"")
    assert other.say("STAT") == b"+OK 1 21\r\n"
    pair.first.wait_for_log(" deleted=0 seconds=", 'end="a new login of the user"')


def test_half_a_command_at_another_node(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session in the middle of a command stays; the log and the reply name it, and its node."""
    client, _ = pair.log_in(pair.second)
    client.send(b"NO")
    (session,) = (
        each for each in pair.second.context.connections if isinstance(each, AdministeredConnection)
    )
    wait_until(lambda: session.describe().octets_in == len("USER ann\r\nPASS secret\r\nNO"))
    monkeypatch.setattr(holders, "NODE_PATIENCE", PATIENCE)
    monkeypatch.setattr(holders, "TAKE_OVER_TIME", 0.1)
    _, reply = pair.log_in(pair.first)
    named = rb"-ERR \[IN-USE\] A session from 127\.0\.0\.1 holds this maildrop since 2.*\r\n"
    assert re.fullmatch(named, reply), reply
    pair.first.wait_for_log(" held_from=127.0.0.1 held_since=2", f" held_at={socket.gethostname()}")
    assert client.say("OP") == b"+OK\r\n"


def test_holder_that_does_not_answer(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log has the node of a maildrop even if it stands still, and since when."""
    monkeypatch.setattr(holders, "NODE_PATIENCE", 0.1)
    monkeypatch.setattr(holders, "TAKE_OVER_TIME", 0.1)
    pair.first.add("ann", "secret", MAIL)
    ghost = uuid.uuid4()
    pair.execute("insert into node values ($1, now() + interval '1 day', 'ghost', 7, now())", ghost)
    pair.execute("insert into lease select id, gen_random_uuid(), $1, now() from box", ghost)
    _, reply = pair.log_in(pair.first)
    assert reply == b"-ERR [IN-USE] Another session holds this maildrop.\r\n"
    pair.first.wait_for_log(" held_since=2", " held_at=ghost\n")
    assert "held_by" not in pair.first.log.getvalue()


def test_lease_that_no_session_has(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease whose release was lost locks a user out at other nodes for one login at most."""
    monkeypatch.setattr(holders, "TAKE_OVER_TIME", 0.1)
    pair.first.add("ann", "secret", MAIL)
    node = pair.second.context.store.node  # type: ignore[attr-defined]
    taken = "now() - interval '2 minutes'"
    pair.execute(f"insert into lease select id, gen_random_uuid(), $1, {taken} from box", node)
    assert pair.log_in(pair.first)[1] == b"-ERR [IN-USE] Another session holds this maildrop.\r\n"
    assert pair.log_in(pair.first)[1] == OK


class Silent(MemoryStore):
    """The store of a cluster with another node, which does not answer."""

    node = "here"

    def __init__(self) -> None:
        super().__init__()
        self.kicks: set[str] = set()

    async def list_nodes(self) -> list[PeerNode]:
        return [PeerNode("there", "ghost", 7, alive=True, seen=1.0)]

    async def ask_nodes(
        self, _content: bytes, _but: object, _patience: float, **_: object
    ) -> PeerAnswers:
        return PeerAnswers([], await self.list_nodes())

    async def send_request(self, content: bytes) -> None: ...
    async def find_lease(self, owner: str) -> None: ...
    async def answer_request(self, request: str, content: bytes) -> None: ...
    async def kick(self, owner: str) -> None:
        self.kicks.add(owner)


@pytest.mark.parametrize(
    ("who", "kicks", "everywhere"),
    [
        ("ann", {"ann", "ann@example.com"}, True),
        ("ann@example.com", {"ann@example.com"}, True),
        ("ann+junk@example.com", {"ann+junk@example.com"}, False),
        ("0123456789", set(), False),
        ("192.0.2.1", set(), False),
    ],
)
def test_kick_at_silent_node(who: str, kicks: set[str], everywhere: bool) -> None:
    """A silent node later ends the sessions of a user by the whole name, but not one by its id."""
    store = Silent()

    async def run() -> ControlReply:
        context = ServerContext(
            store=store,
            authenticator=Passwords(),
            log=structlog.get_logger(),
            default_domain="example.com",
            junk_suffix="+junk",
        )
        request = ControlRequest(action=Action.KICK, who=who, others=True)
        return await ControlService(context).answer(request)

    reply = asyncio.run(run())
    assert (reply.error, store.kicks, reply.everywhere) == ("", kicks, everywhere)


def test_node_that_does_not_answer(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pop3 status` shows each node and when it was last seen; a silent one is named."""
    monkeypatch.setattr(others, "PATIENCE", 0.1)
    ghost = "insert into node values ($1, now() + interval '1 day', 'ghost', 7, now())"
    pair.execute(ghost, uuid.uuid4())
    for command, lack in (
        ("status", "its sessions are missing here"),
        ("kick", "it ends the sessions of the user when it is back"),
    ):
        ran = pair.ask(*([command, "--json"] if command == "status" else [command, "ann"]))
        assert ran.code == 1
        assert f"Process 7 of the node ghost does not answer; {lack}.\n" in ran.err
    kicked = asyncio.run(execute(pair.dsn, "select owner from kick"))
    assert [row["owner"] for row in kicked] == ["ann"]
    line = r"^node ghost, process 7: {}, last seen \d+s ago$"
    assert re.search(line.format("does not answer"), pair.ask("status").out, re.MULTILINE)
    pair.execute("update node set until = now() where name = 'ghost'")
    monkeypatch.setattr(others, "PATIENCE", PATIENCE)
    ran = pair.ask("status", "--json")
    assert ran.code == 0
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert [row["worker"] for row in rows if "sessions" in row] == [os.getpid()] * 2
    alive = [(row["worker"], row["alive"]) for row in rows if "alive" in row]
    assert sorted(alive) == sorted([(7, False), (os.getpid(), True), (os.getpid(), True)])
    shown = pair.ask("status").out
    assert re.search(line.format("does not live"), shown, re.MULTILINE)


def test_database_is_down(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the database, the sessions of the own machine are shown, and the rest is missing."""
    client, _ = pair.log_in(pair.first)
    database = pair.first.context.store.database  # type: ignore[attr-defined]
    monkeypatch.setattr(database, "is_down", True)
    ran = pair.ask("sessions", "--json")
    assert (ran.code, json.loads(ran.out)["user"]) == (1, "ann")
    assert "the other nodes were not asked: PostgreSQL is down" in ran.err
    monkeypatch.undo()
    assert client.say("NOOP") == b"+OK\r\n"


def test_a_database_that_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that answers, but cannot ask the other nodes in time, does not count as silent."""
    monkeypatch.setattr(asking, "NODES_PATIENCE", 0.1)
    answer = msgspec.json.encode(ControlReply(worker=1, node="here", id="me")) + b"\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not msgspec.json.decode(await reader.readline(), type=ControlRequest).others:
            writer.write(answer)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.release()

    async def ask() -> asking.Replies:
        async with await asyncio.start_unix_server(serve, tmp_path / f"1{SUFFIX}"):
            request = ControlRequest(action=Action.STATUS)
            replies = await asking.ask_everywhere(tmp_path, request)
            for _ in range(2):
                await ended.acquire()
        return replies

    ended = asyncio.Semaphore(0)
    replies = asyncio.run(ask())
    assert replies.silent == []
    assert replies.nodes is not None
    assert replies.nodes.error == asking.LATE
