"""The time for all of it begins with the call, and no second try begins it anew."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

import restante
from restante.client import asyncio_driver, blocking, socket_driver
from restante.client.options import parse_url
from restante.client.session import ClientSession
from restante.protocol.errors import RemoteError, ServerUnreachableError
from support.faulty_server import faulty_server
from support.process import full_port


def url(port: int) -> str:
    return f"pop3://ann@127.0.0.1:{port}"


def connected(port: int, **given: Any) -> None:
    blocking.connect(url(port), "pw", **given).close()


def connected_by_asyncio(port: int, **given: Any) -> None:
    async def connect() -> None:
        async with restante.connect(url(port), password="pw", **given):
            pass

    asyncio.run(connect())


FACES = pytest.mark.parametrize("face", [connected, connected_by_asyncio])


@FACES
def test_unaccepted_connection_times_out(face: Callable[..., None]) -> None:
    """A connection that is never accepted fails at the total time."""
    with (
        full_port() as port,
        pytest.raises(ServerUnreachableError, match=r"within (1|0\.[0-9]+) seconds"),
    ):
        face(port, total_seconds=1, connect_seconds=60)


@FACES
def test_no_address_after_total_time(
    face: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No further address is tried after the total time."""
    tried = ["127.0.0.1"] * 1000
    monkeypatch.setattr("restante.client.name_resolution.addresses", lambda *_: tried)
    begun = time.monotonic()
    with full_port() as port, pytest.raises(ServerUnreachableError, match="did not reply"):
        face(port, total_seconds=1, connect_seconds=0.2)
    assert time.monotonic() - begun < 100  # of 200 seconds for all addresses


@FACES
def test_a_look_up_that_took_all_the_time_leaves_none(
    face: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of the look-up counts: if it used all, no server is connected to."""

    def slow(*_: object) -> Any:
        time.sleep(0.1)
        return parse_url(url(server.port))

    with faulty_server() as server:
        monkeypatch.setattr("restante.client.maildrop.target_of", slow)
        with pytest.raises(RemoteError, match=r"the time limit of 0\.05 s has passed"):
            face(server.port, total_seconds=0.05)
    assert not server.commands


def test_a_dialled_connection_ends_when_the_session_does() -> None:
    """A connection ends at the time limit of its session."""

    async def dialled(session: ClientSession) -> float:
        line = await asyncio_driver.dial(session)
        line.close()
        return line.io.ends

    with faulty_server() as server:
        session = ClientSession(parse_url(url(server.port)), ends=time.monotonic() + 99)
        line = socket_driver.dial(session)
        line.close()
        assert line.io.ends == session.ends
        session.peer.broken = False
        assert asyncio.run(dialled(session)) == session.ends


@FACES
def test_dead_address_costs_no_time(
    face: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead first address costs a quarter of a second; the trace has the address in use."""
    tried = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    monkeypatch.setattr("restante.client.name_resolution.addresses", lambda *_: tried)
    trace: list[str] = []
    with faulty_server(user="ann", password="pw") as server, full_port("127.0.0.2", server.port):
        face(
            server.port,
            total_seconds=60,
            connect_seconds=60,
            trace=lambda _, line: trace.append(line),
        )
    assert trace[:2] == [
        f"(127.0.0.3 port {server.port} refused the connection)",
        f"(connected to 127.0.0.1 port {server.port})",
    ]


@FACES
def test_each_address_has_its_reason(
    face: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If all addresses fail, the error names each one and why, and no socket stays open."""
    tried = ["127.0.0.1", "127.0.0.2"]
    monkeypatch.setattr("restante.client.name_resolution.addresses", lambda *_: tried)
    with full_port() as port:
        opened = len(os.listdir("/proc/self/fd"))
        with pytest.raises(ServerUnreachableError, match=r"tcp-timeout: 127\.0\.0\.1 ") as failed:
            face(port, connect_seconds=0.3)
        assert len(os.listdir("/proc/self/fd")) == opened
    assert failed.value.others == [f"127.0.0.2 port {port} refused the connection"]


def test_cancelled_attempts_are_closed() -> None:
    """A cancelled task leaves no attempt to connect behind."""

    async def cancel() -> None:
        opened = len(os.listdir("/proc/self/fd"))
        session = ClientSession(parse_url(url(port)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio_driver.dial(session), 0.2)
        assert len(os.listdir("/proc/self/fd")) == opened

    with full_port() as port:
        asyncio.run(cancel())
