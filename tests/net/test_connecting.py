"""Names and connections have an end, whatever the DNS does."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import Any

import pytest

from restante.net import connecting
from support.process import free_port, full_port


def found(*addresses: str) -> list[Any]:
    """Return what getaddrinfo would."""
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]


def test_one_thread_for_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a lookup hangs, others for the same host wait for it."""
    go_on, asked = threading.Event(), []

    def lookup(host: str, *_: object) -> list[Any]:
        asked.append(host)
        go_on.wait()
        return found("192.0.2.1", "192.0.2.1", "192.0.2.2")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    for _ in range(20):
        with pytest.raises(TimeoutError):
            connecting.resolve("a.example", 110, 0)
    assert asked == ["a.example"]
    go_on.set()
    assert connecting.resolve("a.example", 110, 60) == ["192.0.2.1", "192.0.2.2"]


def test_errors_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each lookup after one that failed asks again."""
    answers = [socket.gaierror("first"), socket.gaierror("second")]

    def lookup(*_: object) -> list[Any]:
        raise answers.pop(0)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    for text in ("first", "second"):
        with pytest.raises(socket.gaierror, match=text):
            connecting.resolve("b.example", 110, 60)


def test_address_needs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address is not looked up in a thread; a name that resembles one is."""
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *_: found(threading.current_thread().name)
    )
    here = threading.current_thread().name
    for host, thread in (("192.0.2.1", here), ("2001:db8::1", here), ("192.0.2.1.", "resolve")):
        assert connecting.resolve(host, 110, 60) == [thread]


def run(race: connecting.Race, *answers: int) -> tuple[connecting.Won | None, list[float]]:
    """Run a race: each of `answers` is the socket that is ready, -1 for none. Give the waits."""
    steps, waits, sockets = race.run(), [], []
    try:
        wait = next(steps)
        for answer in answers:
            waits.append(round(wait.seconds, 2))
            sockets = list(wait.sockets)
            if answer < 0:
                CLOCK[0] += wait.seconds
            wait = steps.send(sockets[answer : answer + 1] if answer >= 0 else [])
    except StopIteration as done:
        won: connecting.Won | None = done.value
        kept = won and won.sock
        assert all(sock.fileno() < 0 for sock in sockets if sock is not kept)
        return won, waits
    finally:
        steps.close()
    raise AssertionError("the race goes on")


CLOCK = [100.0]
DEAD = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass only at waits that nothing ends."""
    CLOCK[0] = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: CLOCK[0])


@pytest.mark.usefixtures("clock")
def test_attempts_are_staggered() -> None:
    """Each attempt begins 250 ms after the last one, and each has its own time."""
    with full_port() as port, full_port("127.0.0.2", port), full_port("127.0.0.3", port):
        race = connecting.Race(DEAD, port, 10, 1000)
        won, waits = run(race, -1, -1, -1, -1, -1)
    assert won is None
    assert waits == [0.25, 0.25, 9.5, 0.25, 0.25]
    assert [round(failed.seconds) for failed in race.failed.values()] == [10, 10, 10]
    assert list(race.failed) == DEAD


@pytest.mark.usefixtures("clock")
def test_all_attempts_end_together() -> None:
    """The end of the time for all of it ends each attempt; addresses may be left untried."""
    with full_port() as port, full_port("127.0.0.2", port):
        race = connecting.Race(DEAD, port, 10, 100.4)
        won, waits = run(race, -1, -1)
    assert won is None
    assert waits == [0.25, 0.15]
    assert [round(failed.seconds, 2) for failed in race.failed.values()] == [0.4, 0.15]


@pytest.mark.usefixtures("clock")
def test_refusal_begins_the_next_attempt() -> None:
    """After a refusal the next address is tried without a pause."""
    with socket.create_server(("127.0.0.2", free_port("127.0.0.2"))) as listener:
        port: int = listener.getsockname()[1]
        race = connecting.Race(DEAD, port, 10, 1000)
        won, waits = run(race, 0, 0)
    assert won is not None
    assert won.address == "127.0.0.2"
    won.sock.close()
    assert waits == [0.25, 0.25]
    assert isinstance(race.failed["127.0.0.1"].outcome, ConnectionRefusedError)


def test_dead_address_costs_little() -> None:
    """A connection is made beside a dead address that comes first, and no socket stays open."""
    with socket.create_server(("127.0.0.2", free_port("127.0.0.2"))) as listener:
        port: int = listener.getsockname()[1]
        with full_port("127.0.0.1", port):
            opened = len(os.listdir("/proc/self/fd"))
            with connecting.connect(DEAD, port, time.monotonic() + 60) as sock:
                assert sock.getpeername() == ("127.0.0.2", port)
            assert len(os.listdir("/proc/self/fd")) == opened


def test_all_failures_are_named() -> None:
    """If all addresses fail, the error has the reason of each."""
    with full_port() as port, pytest.raises(TimeoutError) as failed:
        connecting.connect(DEAD[:2], port, time.monotonic() + 0.3)
    assert str(failed.value) == "127.0.0.1: timed out; 127.0.0.2: Connection refused"


def test_few_addresses_are_tried() -> None:
    """No more than six addresses of a host are tried."""
    port = free_port()
    with pytest.raises(ConnectionRefusedError) as failed:
        connecting.connect([f"127.0.0.{n}" for n in range(1, 10)], port, time.monotonic() + 60)
    assert str(failed.value).count("refused") == connecting.MAX_ADDRESSES


def test_versions_alternate(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPv6 and IPv4 addresses alternate, so that neither version fills all attempts."""
    hosts = [f"2001:db8::{n}" for n in range(1, 9)] + ["192.0.2.1", "192.0.2.2"]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found(*hosts))
    order = ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3", "2001:db8::4"]
    assert connecting.resolve("d.example", 110, 60)[:6] == order


def test_no_time_is_left() -> None:
    """Behind its end nothing is connected to."""
    with pytest.raises(TimeoutError):
        connecting.connect(["192.0.2.1"], 110, time.monotonic() - 1)


def test_connection_at_the_last_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is made when the time is over is closed."""
    left = [60.0]

    def seconds_until(_ends: float) -> float:
        if not left:
            raise TimeoutError("the time is over")
        return left.pop()

    monkeypatch.setattr(connecting, "seconds_until", seconds_until)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(TimeoutError):
            connecting.connect(["127.0.0.1"], listener.getsockname()[1], time.monotonic() + 60)
        with listener.accept()[0] as accepted:
            accepted.settimeout(60)
            assert accepted.recv(1) == b""


def test_all_addresses_at_once() -> None:
    """Each address has its own outcome, and a dead one does not use up the time of the others."""
    with socket.create_server(("127.0.0.2", free_port("127.0.0.2"))) as listener:
        port: int = listener.getsockname()[1]
        with full_port("127.0.0.1", port):
            addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "255.255.255.255", "no address"]
            attempts = connecting.connect_all(addresses, port, 60, 0.1)
        outcomes = {address: attempt.outcome for address, attempt in attempts.items()}
        accepted = outcomes["127.0.0.2"]
        assert isinstance(accepted, socket.socket)
        with accepted:
            assert accepted.getpeername() == ("127.0.0.2", port)
    assert list(outcomes) == addresses
    assert isinstance(outcomes["127.0.0.1"], TimeoutError)
    assert isinstance(outcomes["127.0.0.3"], ConnectionRefusedError)
    assert isinstance(outcomes["255.255.255.255"], OSError)  # at once
    assert isinstance(outcomes["no address"], socket.gaierror)


def test_zone_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link-local address keeps the zone, without which it leads nowhere."""
    known = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (a, 0, 0, z)) for a, z in ZONES]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: known)
    assert connecting.resolve("c.example", 110, 60) == ["fe80::1%3", "2001:db8::1"]


ZONES = [("fe80::1", 3), ("2001:db8::1", 0)]


def test_routes() -> None:
    """This machine has a route to itself, and none to an address without a zone."""
    assert connecting.has_route("127.0.0.1")
    assert not connecting.has_route("fe80::1")


def test_lookups_of_a_forked_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that is forked during a look-up makes its own: the thread stays with the parent."""
    go_on = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: go_on.wait() and found("192.0.2.1"))
    with pytest.raises(TimeoutError):
        connecting.resolve("d.example", 110, 0)
    child = os.fork()
    if not child:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found("192.0.2.2"))
        works = False
        try:
            works = connecting.resolve("d.example", 110, 60) == ["192.0.2.2"]
        finally:
            os._exit(not works)
    assert os.waitpid(child, 0)[1] == 0
    go_on.set()
    assert connecting.resolve("d.example", 110, 60) == ["192.0.2.1"]
