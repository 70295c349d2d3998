"""The demo's certificate, which certifies itself, is enough on this machine."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from restante.client import blocking
from restante.client.options import Tls
from restante.server import selfsigned
from support.asking import ask
from support.broken import Broken, broken
from support.live import PATIENCE


def serving(folder: Path, organization: str = "Restante demo") -> ssl.SSLContext:
    made = selfsigned.make(("localhost",), ("127.0.0.1",), organization)
    file = folder / "demo.pem"
    file.write_bytes(made.certificate + made.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def user_was_told(running: Broken) -> bool:
    return any(line.startswith("USER") for line in running.heard)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_the_demo_is_believed_by_either_kind_of_tls(tmp_path: Path, tls: Tls) -> None:
    context = serving(tmp_path)
    with broken(
        implicit=context if tls == "implicit" else None, stls=None if tls == "implicit" else context
    ) as running:
        report = ask(running.port, tls=tls, options={"reply_seconds": PATIENCE})
        scheme = "pop3s" if tls == "implicit" else "pop3"
        with blocking.connect(f"{scheme}://ann@127.0.0.1:{running.port}", "hunter22") as drop:
            assert len(drop) == 2
    assert report.id == "ok"
    step = next(step for step in report.steps if step.phase == "tls")
    assert "the demo's own" in step.text


def test_who_names_what_the_certificate_must_be_gets_that(tmp_path: Path) -> None:
    with broken(implicit=serving(tmp_path)) as running:
        options = {"server_name": "localhost"}
        assert ask(running.port, tls="implicit", options=options).id == "tls-selfsigned"
        assert not user_was_told(running)


def test_another_certificate_that_certifies_itself_is_not_believed(tmp_path: Path) -> None:
    with broken(implicit=serving(tmp_path, "Anybody")) as running:
        assert ask(running.port, tls="implicit").id == "tls-selfsigned"
        assert not user_was_told(running)
