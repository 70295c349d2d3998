"""SIGHUP to a server without workers; with workers, see test_worker_end.py."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from restante.server.composition.components import log_not_reloaded
from restante.server.tls import self_signed
from restante.server.tls.certificate_files import CertificateFiles
from support.live import wait_until
from support.process import Served, serving


class Alone:
    """A server without workers, and its configuration."""

    def __init__(self, served: Served, config: Path) -> None:
        self.served = served
        self.config = config

    def reload(self, config: str, *events: str) -> str:
        """Write the configuration anew, hang up, and return the log once it has these events."""
        self.config.write_text(config)
        self.served.process.send_signal(signal.SIGHUP)
        wait_until(lambda: all(f"event={event}" in self.log() for event in events))
        return self.log()

    def log(self) -> str:
        return self.served.log.read_text()


GREETING = '[server]\ngreeting = "before"\n'
TLS = '[tls]\ncertificates = [{{ certificate = "{pair.certificate}", key = "{pair.key}" }}]\n'


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Alone]:
    config = tmp_path / "restante.toml"
    config.write_text(GREETING)
    with serving(tmp_path, "--config", config) as served:
        yield Alone(served, config)


def test_unchanged_reload(alone: Alone) -> None:
    """An unchanged configuration is reloaded without a warning."""
    assert "level=warning event=reload" not in alone.reload(GREETING, "reloaded")


def test_what_wants_a_restart_is_told(alone: Alone) -> None:
    """A changed setting that requires a restart is logged and not applied."""
    log = alone.reload(GREETING.replace("before", "after"), "reload_is_partial", "reloaded")
    assert "restart the server for the rest" in log
    with alone.served.connect() as client:
        assert client.read_line() == b"+OK before\r\n"


def test_a_mistake_in_the_configuration_is_told(alone: Alone) -> None:
    """A mistake in the configuration is logged, and the old one stays."""
    log = alone.reload(GREETING.replace("greeting", "greting"), "not_reloaded")
    assert "did you mean greeting" in log
    assert "event=reloaded" not in log
    with alone.served.connect() as client:
        assert client.read_line() == b"+OK before\r\n"


def test_unexpected_error() -> None:
    """An error of the server's own during a reload is an incident in the log."""
    error = RuntimeError("a fault")
    with structlog.testing.capture_logs() as lines:
        log_not_reloaded(structlog.get_logger(), error)
    assert [(line["event"], line["exc_info"]) for line in lines] == [("incident", error)]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_unusable_certificate_on_reload(tmp_path: Path, workers: str) -> None:
    """A certificate that cannot be used is reported, and no reload is logged."""
    made = self_signed.create_self_signed(("localhost",))
    pair = CertificateFiles(tmp_path / "mail.pem", tmp_path / "mail.key")
    pair.certificate.write_bytes(made.certificate)
    pair.key.write_bytes(made.key)
    config = tmp_path / "restante.toml"
    config.write_text(TLS.format(pair=pair))
    with serving(tmp_path, "--config", config, "--workers", workers) as served:
        alone = Alone(served, config)
        wait_until(lambda: "event=listening" in alone.log())  # all workers accept connections
        pair.key.unlink()
        log = alone.reload(config.read_text(), "not_reloaded")
        assert f'problem="tls.certificates: {pair.key}: No such file or directory; ' in log
        assert "event=reloaded" not in log
        pair.key.write_bytes(made.key)
        alone.reload(config.read_text(), "reloaded")
