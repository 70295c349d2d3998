"""Octets other than TLS, and TLS that was damaged on the way, raise only TlsError."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.server.tls import self_signed
from restante.server.tls.certificate_files import CertificateFiles
from restante.server.tls.certificates import Certificates
from restante.server.tls.client_hello import newest_version
from restante.server.tls.layer import ServerTlsLayer, TlsError


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder: Path = tmp_path_factory.mktemp("tls")
    made = self_signed.create_self_signed(("localhost",))
    (folder / "certificate").write_bytes(made.certificate)
    (folder / "key").write_bytes(made.key)
    return Certificates([CertificateFiles(folder / "certificate", folder / "key")])


def client_hello() -> bytes:
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HELLO = client_hello()


@settings(max_examples=200)
@given(octets=st.binary(max_size=600))
def test_noise_in_place_of_a_handshake(certificates: Certificates, octets: bytes) -> None:
    """Random octets raise only TlsError."""
    layer = ServerTlsLayer(certificates)
    with contextlib.suppress(TlsError):
        assert layer.receive(octets) == b""
    layer.outgoing()
    assert not layer.ready


@settings(max_examples=300)
@given(place=st.integers(0, len(HELLO) - 1), octet=st.integers(0, 255), end=st.integers(0, 600))
def test_a_client_hello_that_is_broken_or_cut(
    certificates: Certificates, place: int, octet: int, end: int
) -> None:
    """A damaged or cut ClientHello raises only TlsError."""
    broken = HELLO[:place] + bytes([octet]) + HELLO[place + 1 :]
    for octets in (broken, broken[:end]):
        newest_version(octets)
        layer = ServerTlsLayer(certificates)
        with contextlib.suppress(TlsError):
            layer.receive(octets)
        layer.outgoing()


def test_the_newest_version_on_offer_is_found() -> None:
    """The newest TLS version that a ClientHello offers is found."""
    assert newest_version(HELLO) == "TLS 1.3"
    assert newest_version(b"USER ann\r\n") is None
    assert newest_version(b"") is None
