"""The time for all of it begins with the call, and no second try begins it anew."""

from __future__ import annotations

import asyncio
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
        with pytest.raises(RemoteError, match=r"the 0\.05 seconds of the time limit have passed"):
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
