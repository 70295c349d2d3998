"""Servers that were looked up, and must not have the password."""

from __future__ import annotations

import pytest

from restante.client import lookup
from restante.client.discovery import Candidate, Discovery
from restante.diagnosis.question import Question
from restante.diagnosis.report import Report
from restante.diagnosis.run import examine
from restante.protocol.failures import OtherDomain


def ask(
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    *,
    password: str | None = "hunter22",
    answer: bool = False,
) -> Report:
    winner = Candidate(host, 1, "implicit", "ann@example.com", "SRV")
    discovery = Discovery("ann@example.com", "example.com", (), winner)
    monkeypatch.setattr(lookup, "discovered", lambda *_: discovery)
    asked: list[OtherDomain] = []

    def confirm(error: OtherDomain) -> bool:
        asked.append(error)
        return answer

    question = Question("ann@example.com", confirm=confirm)
    if password is not None:
        question.password = lambda: password
    report = examine(question)
    assert bool(asked) == (password is not None and report.id != "looked-up-local")
    return report


def test_another_domain_is_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """No ends the check before the connection, yes goes on, and `probe` need not ask."""
    report = ask(monkeypatch, "localhost.test.")
    assert report.id == "other-domain"
    assert [step.phase for step in report.steps] == ["discover"]
    assert ask(monkeypatch, "pop.other.invalid", answer=True).id.startswith("dns-")
    assert ask(monkeypatch, "pop.other.invalid", password=None).id.startswith("dns-")


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "::1", "::ffff:7f00:1", "pop.localhost"]
)
def test_loopback_is_not_looked_up(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """What the DNS names is no server on this machine, and nobody is asked about it."""
    assert ask(monkeypatch, host).id == "looked-up-local"
