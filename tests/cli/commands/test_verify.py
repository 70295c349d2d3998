"""How `pop3 verify` ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from restante.cli.main import main
from restante.conformance import suite

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(params=SIGNALS)
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """Return a signal that ends the process, as it does in a terminal."""
    signaled: signal.Signals = request.param
    before = signal.signal(signaled, signal.SIG_DFL)
    yield signaled
    signal.signal(signaled, before)


def test_signals_interrupt(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    """SIGTERM and SIGHUP end a test as Ctrl-C does, so that it deletes its messages."""
    deleted = []

    def run(*_: object) -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(60)
        except KeyboardInterrupt:
            deleted.append("test messages")
            raise

    monkeypatch.setattr(suite, "run", run)
    ran = CliRunner().invoke(main, ["verify", "pop3://127.0.0.1:1"])
    assert ran.exit_code == 130
    assert "The test messages have been deleted." in ran.output
    assert deleted
    assert signal.getsignal(number) is signal.SIG_DFL


def test_ignored_signals(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    """A signal that the caller ignores does not end a test."""
    signal.signal(number, signal.SIG_IGN)
    monkeypatch.setattr(suite, "run", lambda *_: os.kill(os.getpid(), number))
    ran = CliRunner().invoke(main, ["verify", "pop3://127.0.0.1:1", "--json"])
    assert ran.exit_code != 130
    assert signal.getsignal(number) is signal.SIG_IGN
