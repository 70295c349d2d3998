"""A port that speaks TLS or another protocol is named, and not awaited."""

from __future__ import annotations

import asyncio
import threading

import pytest

import restante
from restante import blocking
from restante.client import greeting, port_probe
from restante.client.options import Options, Target, Tls
from support.authority import GOOD, trusting
from support.check_request import server_of
from support.faulty_server import PASSWORD, faulty_server
from support.web_server import web_server


def fail(face: str, port: int, tls: Tls) -> restante.RemoteError:
    """Return the error of a connection to a port of this machine."""
    target = Target("127.0.0.1", port, tls, "ann")
    options = Options(context=trusting(), reply_seconds=60)

    async def open_by_asyncio() -> None:
        async with restante.connect(target, "secret", options):
            pass

    with pytest.raises(restante.RemoteError) as raised:
        if face == "asyncio":
            asyncio.run(open_by_asyncio())
        else:
            blocking.connect(target, "secret", options)
    return raised.value


@pytest.mark.parametrize("face", ["blocking", "asyncio"])
@pytest.mark.parametrize("https", [False, True])
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_web_server(face: str, https: bool, tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web server is named, whether it uses TLS and whether the client does."""
    monkeypatch.setattr(greeting, "FIRST_WAIT", 0.2)
    with web_server(GOOD.serving() if https else None) as port:
        error = fail(face, port, tls)
    assert (error.id, "HTTP" in error.text) == ("wrong-protocol", True)


@pytest.mark.parametrize("face", ["blocking", "asyncio"])
def test_wrong_use_of_tls(face: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port for TLS is named to a client without it, and the other way round."""
    monkeypatch.setattr(greeting, "FIRST_WAIT", 0.2)
    with server_of((), tls=GOOD.serving()) as running:
        assert fail(face, running.tls_port or 0, "starttls").id == "tls-on-plain"
        error = fail(face, running.port, "implicit")
    assert (error.id, "+OK" in error.text) == ("plain-on-tls", True)


@pytest.mark.parametrize("face", ["blocking", "asyncio"])
def test_late_greeting(face: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A greeting that comes while the port is asked what it speaks is read at once."""
    asked, over, done = threading.Event(), threading.Event(), threading.Event()

    def identify(*_: object, **__: object) -> None:
        asked.set()
        over.wait(2)
        done.set()

    async def open_by_asyncio(url: str) -> None:
        async with restante.connect(url, PASSWORD):
            assert not done.is_set()

    monkeypatch.setattr(port_probe, "identify", identify)
    monkeypatch.setattr(greeting, "FIRST_WAIT", 0.1)
    try:
        with faulty_server("greeting: wait 500ms") as server:
            if face == "asyncio":
                asyncio.run(open_by_asyncio(server.url))
            else:
                with blocking.connect(server.url, PASSWORD):
                    assert not done.is_set()
        assert asked.is_set()
    finally:
        over.set()


def test_silent_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for a greeting includes what a port that says nothing is asked."""
    given: list[float] = []

    def identify(_: str, __: int, seconds: float, *, within_tls: bool) -> None:
        given.append(seconds)

    monkeypatch.setattr(port_probe, "identify", identify)
    with faulty_server("connect-silent") as server:
        with pytest.raises(restante.RemoteError) as raised:
            blocking.connect(server.url, PASSWORD, Options(reply_seconds=0.4))
    assert raised.value.id == "greet-none"
    assert given
    assert all(seconds <= 0.2 for seconds in given)
