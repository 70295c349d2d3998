"""Failed logins over the nodes of a cluster: policy/throttle."""

from __future__ import annotations

import asyncio

import pytest

from restante.server.limits import peer_failures
from restante.server.limits.peer_failures import PeerFailures
from restante.server.limits.throttle import MEMORY, Throttle

ANN = ("192.0.2.1", "ann")
KEY = b"the key of all nodes"


class Cluster:
    """Some nodes, and the table that they share."""

    def __init__(self, nodes: int, now: float = 1000.0) -> None:
        self.now = now
        self.table: dict[bytes, tuple[int, float]] = {}
        self.nodes = [self._make() for _ in range(nodes)]

    def _make(self) -> tuple[Throttle, PeerFailures]:
        peers = PeerFailures()
        peers.set_key(KEY)
        return Throttle(peers=peers, clock=lambda: self.now), peers

    def exchange(self) -> None:
        """Let each node share what it noted, as PostgreSQL adds it up, and then read the table."""
        for _, peers in self.nodes:
            for pair, number in peers.take_changes().items():
                before = self.table.get(pair, (0, 0.0))[0]
                self.table[pair] = (before + number if number else 0, self.now)
        for _, peers in self.nodes:
            peers.merge((pair, number, time) for pair, (number, time) in self.table.items())

    def failures(self, node: int) -> int:
        return self.nodes[node][0].failures(*ANN)[0]


def test_guesser_at_two_nodes() -> None:
    """Guesses at one node delay the next one at another node, as if it were there."""
    cluster = Cluster(2)
    (first, _), (second, _) = cluster.nodes
    for guess in (b"1", b"2"):
        first.note_failure(*ANN, guess)
    second.note_failure(*ANN, b"3")
    cluster.exchange()
    assert [cluster.failures(0), cluster.failures(1)] == [3, 3]
    assert second.has_recent_failures(*ANN)
    assert not second.has_recent_failures("192.0.2.2", "ann")
    cluster.now += MEMORY
    assert not second.has_recent_failures(*ANN)


def test_login_at_another_node() -> None:
    """A right password clears the failures of its address at all nodes."""
    cluster = Cluster(2)
    (first, _), (second, _) = cluster.nodes
    first.note_failure(*ANN, b"wrong")
    cluster.exchange()
    second.clear(*ANN, b"right")
    cluster.exchange()
    assert cluster.failures(1) == 0
    assert cluster.nodes[0][1].get(*ANN) is None


def test_addresses_of_one_network() -> None:
    """A guesser with a whole IPv6 /64, whose addresses lead to all nodes, is one client."""
    cluster = Cluster(2)
    cluster.nodes[0][0].note_failure("2001:db8::1", "ann", b"1")
    cluster.exchange()
    assert cluster.nodes[1][0].failures("2001:db8::2", "ann")[0] == 1


def test_same_password_again() -> None:
    """The same wrong password is counted once at each node."""
    cluster = Cluster(2)
    for _ in range(5):
        for throttle, _ in cluster.nodes:
            throttle.note_failure(*ANN, b"old")
        cluster.exchange()
    assert cluster.failures(0) == 2


def test_login_without_failures_shares_nothing() -> None:
    """Good logins cost nothing: they are not shared."""
    ((throttle, peers),) = Cluster(1).nodes
    throttle.clear(*ANN, b"right")
    assert peers.take_changes() == {}


def test_unshared_failures_stay() -> None:
    """Failures that could not be shared are shared later, with those that came since."""
    ((throttle, peers),) = Cluster(1).nodes
    throttle.note_failure(*ANN, b"1")
    lost = peers.take_changes()
    throttle.note_failure(*ANN, b"2")
    throttle.note_failure("192.0.2.2", "bob", b"2")
    peers.put_back(lost)
    assert sorted(peers.take_changes().values()) == [1, 2]
    throttle.note_failure(*ANN, b"3")
    throttle.clear(*ANN, b"right")
    peers.put_back(lost)
    assert list(peers.take_changes().values()) == [0]


def test_nothing_is_shared_without_key() -> None:
    """Until the key of all nodes is known, a node keeps its failures for itself."""
    peers = PeerFailures()
    throttle = Throttle(peers=peers)
    throttle.note_failure(*ANN, b"1")
    assert (peers.ready, peers.take_changes()) == (False, {})
    assert throttle.failures(*ANN)[0] == 1


def test_token_without_name() -> None:
    """A token without a name is not shared, not even as a digest."""
    ((throttle, peers),) = Cluster(1).nodes
    throttle.note_failure("192.0.2.1", "", b"token")
    assert peers.take_changes() == {}


def test_tables_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of failures and the waiting changes are bounded; the oldest entry is forgotten."""
    monkeypatch.setattr(peer_failures, "MAX_NAMES", 3)
    monkeypatch.setattr(peer_failures, "MAX_CHANGES", 3)
    ((throttle, peers),) = Cluster(1).nodes
    for number in range(5):
        throttle.note_failure(f"192.0.2.{number}", "ann", b"1")
    changes = peers.take_changes()
    assert len(changes) == 3
    peers.merge((bytes([number]) * 16, 1, float(number)) for number in range(5))
    assert peers.latest() == 4
    peers.put_back(changes)
    peers.put_back({b"more": 1})
    assert len(peers.take_changes()) == 3


def test_failure_before_the_start_of_the_host() -> None:
    """A failure elsewhere counts on a host that was started after it."""
    cluster = Cluster(2, -300.0)
    (first, _), (second, _) = cluster.nodes
    first.note_failure(*ANN, b"1")
    cluster.exchange()
    cluster.now = 10.0
    assert second.has_recent_failures(*ANN)
    assert second.failures(*ANN) == (1, -300.0)


def test_delay_of_failures_elsewhere() -> None:
    """A login waits for the failures at other nodes, and no longer than its five seconds."""
    cluster = Cluster(2)
    for number in range(9):
        cluster.nodes[0][0].note_failure(*ANN, b"%d" % number)
    cluster.exchange()
    waited: list[float] = []

    class Waits(Throttle):
        async def _wait(self, pair: str, known: tuple[int, float], ahead: int, ends: float) -> None:
            waited.append(known[0])

    async def log_in() -> None:
        throttle = Waits(peers=cluster.nodes[1][1], clock=lambda: cluster.now)
        async with throttle.one_at_a_time(*ANN, b"right"):
            pass

    asyncio.run(log_in())
    assert waited == [9]
