"""Names and connections have an end, whatever the DNS does."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from restante.net import connecting
from support.process import full_port


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


def test_addresses_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each address has its part of the time, and no more than six are tried."""
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    tried = []

    def refuse(address: tuple[str, int], timeout: float) -> socket.socket:
        tried.append((address[0], timeout))
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(ConnectionRefusedError):
        connecting.connect([f"192.0.2.{number}" for number in range(9)], 110, 106.0)
    assert tried[0] == ("192.0.2.0", 1.0)
    assert len(tried) == connecting.MOST_ADDRESSES


def test_no_time_is_left() -> None:
    """Behind its end nothing is connected to."""
    with pytest.raises(TimeoutError):
        connecting.connect(["192.0.2.1"], 110, time.monotonic() - 1)


def test_all_addresses_at_once() -> None:
    """Each address has its own outcome, and a dead one does not use up the time of the others."""
    with socket.create_server(("127.0.0.2", 0)) as listener:
        port: int = listener.getsockname()[1]
        with full_port("127.0.0.1", port):
            addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "no address"]
            attempts = connecting.connect_all(addresses, port, 60, 0.1)
        outcomes = {address: attempt.outcome for address, attempt in attempts.items()}
        accepted = outcomes["127.0.0.2"]
        assert isinstance(accepted, socket.socket)
        with accepted:
            assert accepted.getpeername() == ("127.0.0.2", port)
    assert list(outcomes) == addresses
    assert isinstance(outcomes["127.0.0.1"], TimeoutError)
    assert isinstance(outcomes["127.0.0.3"], ConnectionRefusedError)
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
