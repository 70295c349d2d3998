"""A host with two addresses, of which one accepts connections and breaks them off."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

import restante
from restante import blocking
from restante.client import name_resolution
from restante.client.options import Target, Tls
from restante.misbehave.certificates import authority_file
from restante.net.tls_trust import create_verifying_context
from support.faulty_server import PASSWORD, USER, faulty_server

WORKING, BROKEN, OTHER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
Notices = list[tuple[str, str]]


@contextlib.contextmanager
def broken_off(address: str, port: int, *, reset: bool) -> Iterator[list[int]]:
    """Close each connection. Gives a list with an item for each of them.

    A `reset` waits until something has come, for that is surely later than the connection.
    """
    came: list[int] = []

    def close_all() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                came.append(1)
                if reset:
                    connection.recv(1)
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.close()

    with socket.create_server((address, port)) as listener:
        thread = threading.Thread(target=close_all)
        thread.start()
        try:
            yield came
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def count(target: Target, options: restante.Options) -> int:
    with blocking.connect(target, PASSWORD, options) as box:
        return len(box)


def count_by_asyncio(target: Target, options: restante.Options) -> int:
    async def opened() -> int:
        async with restante.connect(target, PASSWORD, options) as box:
            return len(box)

    return asyncio.run(opened())


@pytest.fixture(autouse=True)
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the addresses of the host, which a test may change."""
    found = [BROKEN, WORKING]
    monkeypatch.setattr(name_resolution, "addresses", lambda *_: list(found))
    return found


def options_for(notices: Notices) -> restante.Options:
    context = create_verifying_context(authority_file())
    return restante.Options(context=context, notice=lambda *notice: notices.append(notice))


@pytest.mark.parametrize("face", [count, count_by_asyncio])
@pytest.mark.parametrize(
    ("tls", "reset"), [("implicit", True), ("implicit", False), ("starttls", False)]
)
def test_a_broken_address(
    face: Callable[[Target, restante.Options], int], tls: Tls, reset: bool
) -> None:
    """Before the login, the client goes to another address, and says which one is broken."""
    notices: Notices = []
    with faulty_server(tls=True) as server:
        port = server.tls_port if tls == "implicit" else server.port
        assert port is not None
        with broken_off(BROKEN, port, reset=reset) as came:
            assert face(Target("localhost", port, tls, USER), options_for(notices)) == 2
        assert len(came) == 1
    assert [name for name, _ in notices] == ["address-dead"]
    assert notices[0][1].startswith(f"{BROKEN}: the server ")


@pytest.mark.parametrize("face", [count, count_by_asyncio])
def test_broken_addresses(
    face: Callable[[Target, restante.Options], int], addresses: list[str]
) -> None:
    """If all addresses are broken, each is tried once, and the first error has the others."""
    with socket.create_server((WORKING, 0)) as chosen:
        port = chosen.getsockname()[1]
    addresses[:] = [BROKEN, OTHER]
    with (
        broken_off(BROKEN, port, reset=False) as came,
        broken_off(OTHER, port, reset=False) as other,
        pytest.raises(restante.ConnectionLostError) as raised,
    ):
        face(Target("localhost", port, "starttls", USER), options_for([]))
    assert (len(came), len(other)) == (1, 1)
    assert len(raised.value.others) == 1


@pytest.mark.parametrize("face", [count, count_by_asyncio])
def test_silent_addresses(
    face: Callable[[Target, restante.Options], int], addresses: list[str]
) -> None:
    """A greeting that does not come is awaited at one more address, and at no third one."""
    notices: Notices = []
    with faulty_server() as server, socket.create_server((BROKEN, server.port)):
        target = Target("localhost", server.port, "none", USER)
        options = options_for(notices)
        assert face(target, replace(options, reply_seconds=1)) == 2
        assert [name for name, _ in notices] == ["address-dead"]
        with socket.create_server((OTHER, server.port)):
            addresses[:] = [BROKEN, OTHER, WORKING]
            with pytest.raises(restante.ReplyTimeoutError) as raised:
                face(target, replace(options, reply_seconds=0.2))
    assert (raised.value.id, len(raised.value.others)) == ("greet-none", 1)


@pytest.mark.parametrize("fault", ["login-closed", "login-reset"])
def test_a_login_is_sent_once(fault: str, addresses: list[str]) -> None:
    """After the password was sent, no other address gets it: the login may have been counted."""
    addresses[:] = [WORKING, BROKEN]
    with faulty_server(fault) as server, broken_off(BROKEN, server.port, reset=False) as came:
        with pytest.raises(restante.ConnectionLostError) as raised:
            count(Target("localhost", server.port, "none", USER), options_for([]))
        assert (raised.value.id, came) == ("auth-noreply", [])


def test_check() -> None:
    """The check names the address that broke off, and how to check the other one."""
    with faulty_server() as server, broken_off(BROKEN, server.port, reset=False):
        report = restante.check(Target("localhost", server.port, "none", USER), PASSWORD)
        text = f"this is {BROKEN}; check {WORKING} by --resolve localhost:{server.port}:{WORKING}"
        assert ("address", text) in report.steps[-1].details
        assert report.id == "greet-closed"


@pytest.mark.parametrize(
    ("rule", "tls", "found"),
    [
        ("greeting: -ERR [SYS/TEMP] maintenance", "none", "greet-err"),
        ("greeting: +OK", "implicit", "tls-unknown-ca"),
    ],
)
def test_check_of_one_that_fails(addresses: list[str], rule: str, tls: Tls, found: str) -> None:
    """The check names the address that greets with an error or has another certificate."""
    addresses[:] = [WORKING, OTHER]
    with faulty_server(rule, tls=True) as server:
        port = server.tls_port if tls == "implicit" else server.port
        assert port is not None
        with socket.create_server((OTHER, port)):
            report = restante.check(Target("localhost", port, tls, USER), PASSWORD)
    assert report.id == found
    [step] = [step for step in report.steps if step.outcome == "failure"]
    text = f"this is {WORKING}; check {OTHER} by --resolve localhost:{port}:{OTHER}"
    assert ("address", text) in step.details


@pytest.mark.parametrize(
    ("rules", "password", "found"),
    [((), "wrong", "auth-failed"), (("STAT: close",), PASSWORD, "conn-lost")],
)
def test_check_of_one_server(
    addresses: list[str], rules: tuple[str, ...], password: str, found: str
) -> None:
    """The check names no other address for an error that is not of one."""
    addresses[:] = [WORKING, OTHER]
    with faulty_server(*rules) as server, socket.create_server((OTHER, server.port)):
        report = restante.check(Target("localhost", server.port, "none", USER), password)
        assert report.facts["addresses"] == {WORKING: "ok", OTHER: "ok"}
        assert report.id == found
        assert "address" not in dict(report.steps[-1].details)
