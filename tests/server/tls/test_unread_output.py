"""TLS answers by itself, so the server reads no more while its peer does not."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from restante.client.tls import unverified_context
from restante.protocol.server.settings import ProtocolSettings
from restante.server.connection.transport import ListenerPolicy
from restante.server.tls import self_signed
from restante.server.tls.certificate_files import CertificateFiles
from restante.server.tls.certificates import Certificates
from support.clocked_server import Peer, clocked


@pytest.fixture
def tls(tmp_path: Path) -> ListenerPolicy:
    """TLS from the first octet."""
    made = self_signed.create_self_signed(("localhost",), ("127.0.0.1",))
    files = CertificateFiles(tmp_path / "certificate.pem", tmp_path / "key.pem")
    files.certificate.write_bytes(made.certificate)
    files.key.write_bytes(made.key)
    return ListenerPolicy(certificates=Certificates([files]), implicit_tls=True)


def shake_hands(peer: Peer) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = unverified_context().wrap_bio(incoming, outgoing)
    for _ in range(5):
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            incoming.write(peer.say(outgoing.read()))
        else:
            peer.say(outgoing.read())
            return
    raise AssertionError("no handshake")


def test_reading_stops(tls: ListenerPolicy) -> None:
    """While output is full nothing is read over TLS, and the time before login holds."""
    with clocked(ProtocolSettings(login_timeout=60)) as server:
        peer = server.connect(tls)
        shake_hands(peer)
        peer.fill(100_000)
        assert not peer.reading
        server.loop.advance(61)
        assert peer.aborted


def test_reading_goes_on(tls: ListenerPolicy) -> None:
    """Once the peer has read, the server reads again."""
    with clocked() as server:
        peer = server.connect(tls)
        shake_hands(peer)
        peer.fill(100_000)
        peer.unsent = 0
        server.loop.do(peer.connection.resume_writing)
        assert peer.reading
