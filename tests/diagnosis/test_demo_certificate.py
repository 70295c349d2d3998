"""The demo's certificate is believed where a person names its file, and nowhere else."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from restante.client import blocking
from restante.client.options import Tls
from restante.misbehave.driver import FaultyServer
from restante.protocol.errors import SecurityError
from restante.server import demo
from restante.server.tls import self_signed
from support.check_request import ANN, ask
from support.command import pop3
from support.faulty_server import PASSWORD, faulty_server
from support.live import PATIENCE


def serving(folder: Path) -> ssl.SSLContext:
    certificate, key = demo.ensure_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def user_was_told(running: FaultyServer) -> bool:
    return any(line.startswith(("USER", "AUTH")) for line in running.commands)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_its_file_is_enough(tmp_path: Path, tls: Tls) -> None:
    """With --cacert, or a context of it, the certificate is good by either kind of TLS."""
    context = serving(tmp_path)
    trusting = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
    with faulty_server(tls=context, user=ANN) as running:
        port = running.tls_port if tls == "implicit" else running.port
        assert port
        options = {"reply_seconds": PATIENCE, "context": trusting}
        report = ask(port, tls=tls, options=options)
        scheme = "pop3s" if tls == "implicit" else "pop3"
        for host in ("127.0.0.1", "localhost"):
            where = f"{scheme}://{ANN}@{host}:{port}"
            with blocking.connect(where, PASSWORD, context=trusting) as drop:
                assert len(drop) == 2
            assert pop3("ls", where, "--cacert", tmp_path / "certificate.pem").code == 0
    assert report.id == "ok"
    step = next(step for step in report.steps if step.phase == "tls")
    assert "chain complete" in step.text


@pytest.mark.parametrize("organization", ["Restante demo", "Anybody"])
def test_a_text_in_a_certificate_proves_nothing(tmp_path: Path, organization: str) -> None:
    """A certificate that certifies itself gets no password, on this machine either."""
    made = self_signed.create_self_signed(("localhost",), ("127.0.0.1",), organization)
    file = tmp_path / "demo.pem"
    file.write_bytes(made.certificate + made.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with faulty_server(tls=context, user=ANN) as running:
        assert running.tls_port
        assert ask(running.tls_port, tls="implicit").id == "tls-selfsigned"
        with pytest.raises(SecurityError):
            blocking.connect(f"pop3s://ann@127.0.0.1:{running.tls_port}", PASSWORD)
        assert not user_was_told(running)


def test_strict_verification(tmp_path: Path) -> None:
    """The certificate passes the strict rules that Python has by default from 3.13 on."""
    trusting = ssl.create_default_context(cafile=str(demo.ensure_certificate(tmp_path)[0]))
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    with faulty_server(tls=serving(tmp_path)) as running:
        where = f"pop3s://ann@127.0.0.1:{running.tls_port}"
        with blocking.connect(where, PASSWORD, context=trusting) as drop:
            assert len(drop) == 2
