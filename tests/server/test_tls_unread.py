"""TLS answers by itself, so the server reads no more while its peer does not."""

from __future__ import annotations

from typing import Any, cast

from restante.protocol.server.settings import ProtocolSettings
from support.clocked import clocked


def test_reading_stops() -> None:
    """While output is full nothing is read over TLS, and the time before login holds."""
    with clocked(ProtocolSettings(login_timeout=60)) as server:
        peer = server.connect()
        peer.connection._wire.tls = cast("Any", _Tls())
        peer.fill(100_000)
        assert not peer.reading
        server.loop.advance(61)
        assert peer.aborted


def test_reading_goes_on() -> None:
    """Once the peer has read, the server reads again."""
    with clocked() as server:
        peer = server.connect()
        peer.connection._wire.tls = cast("Any", _Tls())
        peer.fill(100_000)
        peer.unsent = 0
        server.loop.do(peer.connection.resume_writing)
        assert peer.reading


class _Tls:
    """A layer of TLS that is ready."""

    ready = True
    version = "TLSv1.3"
