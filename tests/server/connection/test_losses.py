"""Sessions whose maildrops are lost: another node of a cluster may have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from restante.storage.memory import MemoryMaildrop, MemoryStore
from support.clocked_server import Clocked, Peer, clocked

LETTER = b"Subject: a\r\n\r\nhello\r\n"
LOG_IN = b"USER ann\r\nPASS secret\r\n"
LOST = (
    b"-ERR [SYS/TEMP] This session no longer holds the maildrop, and removed nothing; log in again."
    b"\r\n"
)
LOGGED = ["another node may have the maildrop"]


class LeasedMaildrop(MemoryMaildrop):
    lost = False


class LeasedStore(MemoryStore):
    """A store that loses its maildrops when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.maildrops: list[LeasedMaildrop] = []
        self.on_loss: Callable[[], object] = bool

    def call_on_loss(self, on_loss: Callable[[], object]) -> None:
        self.on_loss = on_loss

    async def acquire(self, owner: str, patience: float) -> MemoryMaildrop:
        maildrop = await super().acquire(owner, patience)
        maildrop.__class__ = LeasedMaildrop
        assert isinstance(maildrop, LeasedMaildrop)
        self.maildrops.append(maildrop)
        return maildrop

    def lose(self) -> None:
        for maildrop in self.maildrops:
            maildrop.lost = True
        self.on_loss()


@pytest.fixture
def store() -> LeasedStore:
    return LeasedStore()


@pytest.fixture
def server(store: LeasedStore) -> Iterator[Clocked]:
    with clocked(store=store) as made:
        made.loop.run_until_complete(store.deliver("ann", LETTER))
        yield made


def hang_up(server: Clocked, peer: Peer) -> None:
    server.loop.do(peer.connection.eof_received)
    peer.close()
    server.loop.turn()


def test_lost_maildrop(server: Clocked, store: LeasedStore) -> None:
    """The session ends, removes nothing, and the client reads why before it sends anything more."""
    peer, other = server.connect(), server.connect()
    peer.say(LOG_IN)
    peer.say(b"DELE 1\r\n")
    server.loop.do(store.lose)
    assert peer.heard.endswith(b"\r\n" + LOST)
    assert peer.say(b"QUIT\r\n") == b""
    hang_up(server, peer)
    assert server.ended() == LOGGED
    assert other.say(LOG_IN + b"STAT\r\n").endswith(b"+OK 1 21\r\n")


def test_loss_with_stand_ins(store: LeasedStore) -> None:
    """A session with stand-ins for headers in UTF-8 ends in the same way."""
    with clocked(store=store, utf8_headers="surrogate") as server:
        peer = server.connect()
        peer.say(LOG_IN)
        server.loop.do(store.lose)
        assert peer.heard.endswith(b"\r\n" + LOST)


def test_loss_during_replies(server: Clocked, store: LeasedStore) -> None:
    """A client gets the replies under way first."""
    peer = server.connect()
    peer.say(LOG_IN)
    peer.fill(100_000)
    server.loop.do(store.lose)
    assert server.ended() == []
    peer.unsent = 0
    server.loop.do(peer.connection.resume_writing)
    assert peer.heard.endswith(b"\r\n" + LOST)
    hang_up(server, peer)
    assert server.ended() == LOGGED


def test_other_sessions_go_on(server: Clocked, store: LeasedStore) -> None:
    """A session before its login, and one that logs in later, do not end."""
    peer = server.connect()
    server.loop.do(store.lose)
    assert peer.say(LOG_IN + b"STAT\r\n").endswith(b"+OK 1 21\r\n")
