"""Which certificates of servers are trusted."""

import contextlib
import os
import ssl
from pathlib import Path

import pytest

from restante.net.tls_trust import create_verifying_context, has_authorities
from support.authority import GOOD, INTERMEDIATE, make, root_file


def verify(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """Shake hands in memory. Raises ssl.SSLCertVerificationError."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (ours, theirs, ours):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    ours.do_handshake()


def test_authority_of_an_old_form(tmp_path: Path) -> None:
    """An authority without a key identifier is trusted, with every version of Python."""
    verify(create_verifying_context(root_file(tmp_path)), GOOD.serving())


def test_incomplete_chain(tmp_path: Path) -> None:
    """An intermediate authority alone is not enough, with every version of Python."""
    file = tmp_path / "intermediate.pem"
    file.write_bytes(INTERMEDIATE.pem)
    server = make("localhost", issuer=INTERMEDIATE)
    with pytest.raises(ssl.SSLCertVerificationError):
        verify(create_verifying_context(file), server.serving())


def test_unknown_authority() -> None:
    """The system's trust decides where no file is given."""
    with pytest.raises(ssl.SSLCertVerificationError):
        verify(create_verifying_context(), GOOD.serving())


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN CERTIFICATE-----\nMIIB\n"])
def test_file_without_certificate(text: str, tmp_path: Path) -> None:
    """The error for a file without a certificate has no words of OpenSSL."""
    file = tmp_path / "authority.pem"
    file.write_text(text)
    with pytest.raises(OSError, match=r"^it has no valid certificate in PEM; name a file"):
        create_verifying_context(file)


@pytest.mark.parametrize(
    ("name", "found"), [("", False), ("ca.txt", False), ("0a1b2c3d.0", True), ("ca.pem", True)]
)
def test_authorities_of_the_system(
    name: str,
    found: bool,  # a row of the table
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Authorities are in the system's file, or in its folders by the names of OpenSSL."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'missing'}{os.pathsep}{tmp_path}")
    if name:
        root_file(tmp_path).rename(tmp_path / name)
    assert has_authorities(create_verifying_context()) is found
