"""Errors of certificates say what to write."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from restante.fetch.destinations.certificate_errors import describe_certificate_error
from restante.net.tls_trust import create_verifying_context
from support.authority import DAY, ROOT, Certified, make
from support.faulty_server import faulty_server


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        (make("self"), "; if its authority is your own, add cafile=FILE to the URL"),
        (make("a", issuer=ROOT, hosts=("a.example",)), "; write a name of the certificate into"),
        (make("b", issuer=ROOT, ends=-DAY / 2), "its certificate is not valid: certificate has ex"),
    ],
    ids=["unknown issuer", "wrong name", "expired"],
)
def test_what_to_do(certificate: Certified, said: str, tmp_path: Path) -> None:
    """An unknown issuer needs a file, a wrong name another name, and no other fault a change."""
    authority = tmp_path / "root.pem"
    authority.write_bytes(ROOT.pem)
    with faulty_server(tls=certificate.serving()) as running:
        context = create_verifying_context(authority)
        with (
            pytest.raises(ssl.SSLCertVerificationError) as caught,
            socket.create_connection(("127.0.0.1", running.tls_port)) as connected,
            context.wrap_socket(connected, server_hostname="localhost"),
        ):
            pass
    text = describe_certificate_error(caught.value)
    assert said in text
    assert text.count(";") == (0 if "expired" in text else 1)
