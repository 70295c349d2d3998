"""The nodes of a cluster share failed logins and kicks."""

from __future__ import annotations

import asyncio
import contextlib
import io
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from restante.auth.sql.cluster_accounts import AccountTable
from restante.auth.usernames import lock_key
from restante.protocol.secret import Secret
from restante.server.context import ServerContext
from restante.server.control.messages import Action
from restante.server.control.others import encode_request
from restante.server.control.service import ControlService
from restante.server.limits.peer_failures import PeerFailures
from restante.server.log import event_log
from restante.server.tasks.peers import PeerExchange, sharing_with_peers
from restante.storage.errors import StoreError
from restante.storage.memory import MemoryStore
from restante.storage.peers import PeerNews, PeerRequest
from support.clocked_server import Clocked, clocked
from support.cluster import Cluster, execute
from support.live import Client
from support.passwords import Passwords, quick_hash
from support.process import POP3, free_port, wait_for_port
from support.thread import PATIENCE

LOG_IN = b"USER ann\r\nPASS secret\r\n"
PAIR = bytes(16)


class Peers(MemoryStore):
    """A store with other nodes: what they have noted, or errors."""

    def __init__(self, *answers: PeerNews | Exception) -> None:
        super().__init__()
        self.answers = list(answers)
        self.shared: list[dict[bytes, int]] = []

    async def share(self, failures: Mapping[bytes, int]) -> PeerNews:
        self.shared.append(dict(failures))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def news(
    failures: list[tuple[bytes, int, float]] | None = None, kicks: Mapping[str, float] | None = None
) -> PeerNews:
    return PeerNews(key=b"key", failures=failures or [], kicks=kicks or {})


def exchange(server: Clocked, store: Peers) -> None:
    service = ControlService(server.context)
    made = server.loop.do(PeerExchange, store, server.context, 1, service)
    server.loop.run_until_complete(made.exchange())
    server.loop.turn()


def test_kick_at_another_node() -> None:
    """A kick ends the sessions that began before it, and no other."""
    with clocked() as server:
        server.connect().say(LOG_IN)
        server.loop.advance(10)
        exchange(server, Peers(news(kicks={"ann": 11.0, "bob": 1.0})))
        assert server.ended() == []
        exchange(server, Peers(news(kicks={"ann": 9.0})))
        assert server.ended() == ["ended by an administrator"]


def test_session_that_begins_during_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow answer makes no kick, take-over or failed login younger: a later session stays."""
    with clocked() as server:
        take_over = encode_request(Action.TAKE_OVER, "ann")
        requests = [PeerRequest("1", b"slow", 1.0), PeerRequest("2", take_over, 1.0)]
        store = Peers(news([(PAIR, 3, 1.0)], {"ann": 1.0})._replace(requests=requests))
        service = ControlService(server.context)
        answer_node = service.answer_node

        async def answer(content: bytes, age: float) -> bytes | None:
            await asyncio.sleep(5 if content == b"slow" else 0)
            return await answer_node(content, age)

        monkeypatch.setattr(service, "answer_node", answer)
        made = server.loop.do(PeerExchange, store, server.context, 1, service)
        task = server.loop.create_task(made.exchange())
        server.loop.advance(3)
        server.connect().say(LOG_IN)
        server.loop.advance(5)
        assert task.done()
        assert server.ended() == []
        peers = server.context.limits.throttle.peers
        assert peers is not None
        assert peers.latest() <= time.monotonic() - 6


def test_lock_at_another_node() -> None:
    """A lock ends the sessions of its user, however the name is spelt, and no other."""
    with clocked() as server:
        server.connect().say(LOG_IN)
        server.connect()
        exchange(server, Peers(news()._replace(locked=frozenset({"bob"}))))
        assert server.ended() == []
        exchange(server, Peers(news()._replace(locked=frozenset({lock_key("ANN")}))))
        assert server.ended() == ["the account was removed, locked or changed"]


def test_failures_of_another_node() -> None:
    """Failures at other nodes count here, by the time that has passed since."""
    begun = time.monotonic()
    with clocked() as server:
        exchange(server, Peers(news([(PAIR, 3, 899.0)])))
        peers = server.context.limits.throttle.peers
        assert peers is not None
        assert peers.ready
        assert peers.latest() > begun - 901


def test_failures_are_not_lost() -> None:
    """Failures that could not be shared are shared in the next exchange."""
    store = Peers(news(), StoreError("no database"), news())
    with clocked() as server:
        exchange(server, store)
        server.context.limits.throttle.note_failure("192.0.2.1", "ann", b"wrong")
        with pytest.raises(StoreError):
            exchange(server, store)
        exchange(server, store)
    assert store.shared[1] == store.shared[2] != {}


def run(store: MemoryStore, log: io.StringIO, until: str) -> ServerContext:
    """Share while the log does not have a text."""
    made, writer = event_log.configure_log("text", log)
    context = ServerContext(store=store, authenticator=Passwords(), log=made)

    async def share() -> None:
        async with asyncio.timeout(PATIENCE), sharing_with_peers(context, pause=0.001):
            while until not in log.getvalue():  # noqa: ASYNC110  # a thread writes it
                await asyncio.sleep(0.005)

    with contextlib.closing(writer):
        asyncio.run(share())
    return context


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (StoreError("no database"), 'event=trouble error="no database" code=SYS/TEMP'),
        (RuntimeError("a detail"), "level=error event=incident"),
    ],
)
def test_exchange_continues_after_error(error: Exception, line: str) -> None:
    """An error ends no exchange for good, and an outage is one line of the log."""
    store = Peers(error, error, news(), StoreError("again"), news())
    run(store, log := io.StringIO(), "error=again")
    assert log.getvalue().count(line) == 1


def test_store_without_peers() -> None:
    """A store of one machine shares nothing."""
    context = run(MemoryStore(), io.StringIO(), "")
    assert context.limits.throttle.peers is None


def test_peers_of_a_server() -> None:
    """A server with such a store knows the failures of other nodes."""
    context = run(Peers(news()), io.StringIO(), "")
    assert isinstance(context.limits.throttle.peers, PeerFailures)


@contextlib.contextmanager
def node(folder: Path, dsn: Secret, name: str, config: str = "") -> Iterator[Client]:
    """Run a node of a cluster while the block runs, and log in as Ann."""
    (folder / "dsn").write_bytes(dsn.reveal())
    port, file = free_port(), folder / f"{name}.toml"
    file.write_text(
        f'[server]\nlisten = ["127.0.0.1:{port}"]\n{config}\n[mail]\nformat = "cluster"\n'
        '[cluster]\npostgresql_dsn_file = "dsn"\n'
    )
    with (
        (folder / f"{name}.log").open("wb") as log,
        subprocess.Popen([POP3, "serve", "--config", file], stderr=log) as process,
    ):
        try:
            wait_for_port(port, process)
            with Client(port) as client:
                client.log_in("ann", "secret")
                yield client
        finally:
            process.terminate()


@pytest.mark.parametrize("config", ["", "workers = 2"])
def test_locked_account(cluster: Cluster, tmp_path: Path, config: str) -> None:
    """A lock in the database ends the session at whatever node it is, and no mail is removed."""
    dsn, stored = cluster.new_database(), quick_hash(b"secret")
    asyncio.run(execute(dsn, "insert into account values ('ann', $1)", stored))
    with node(tmp_path, dsn, "one", config) as client:
        assert client.say("STAT") == b"+OK 0 0\r\n"
        asyncio.run(AccountTable(dsn).set_locked("ann", locked=True))
        assert client.read_line() == b""
    log = (tmp_path / "one.log").read_text()
    assert 'end="ended by an administrator"' in log
    cluster.drop(dsn)
