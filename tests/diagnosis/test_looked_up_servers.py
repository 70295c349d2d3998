"""Servers that were looked up, and must not have the password."""

from __future__ import annotations

import pytest

from restante.client.discovery import lookup
from restante.client.discovery.discover import Candidate, Discovery
from restante.client.discovery.lookup import OtherDomainError
from restante.client.options import Options, Target
from restante.diagnosis.report import Report
from restante.diagnosis.request import CheckRequest
from restante.diagnosis.run import examine
from support.authority import ROOT, make, trusting
from support.faulty_server import PASSWORD, faulty_server


def ask(
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    *,
    password: str | None = "hunter22",
    answer: bool = False,
) -> Report:
    winner = Candidate(host, 1, "implicit", "ann@example.com", "SRV")
    discovery = Discovery("ann@example.com", "example.com", (), winner)
    monkeypatch.setattr(lookup, "discover_server", lambda *_: discovery)
    asked: list[OtherDomainError] = []

    def confirm(error: OtherDomainError) -> bool:
        asked.append(error)
        return answer

    request = CheckRequest("ann@example.com", confirm=confirm)
    if password is not None:
        request.password = lambda: password
    report = examine(request)
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
    """A server that the DNS names must not be on this machine, and is not connected to."""
    assert ask(monkeypatch, host).id == "looked-up-local"


NAMES = [
    ("mail.bank.example", "ann@bank.example", "mx.bank.example", True),
    ("mail.bank.example", "ann@bank.example", "bank.example", True),
    ("mail.bank.example", "ann", "bank.example", True),
    ("mail.bank.example", "ann", "pop.mail.bank.example", True),
    ("mail.bank.example", "ann@bank.example", "mail.evil.example", False),
    ("mail.bank.example", "ann@bank.example", "mail.evilbank.example", False),
    ("mail.bank.example", "ann", "mail.evil.example", False),
    ("mail.bank.example", "ann@evil.example@bank.example", "mail.evil.example", False),
    ("bank.co.uk", "ann", "evil.co.uk", False),
    ("bank.example", "ann", "example", False),
    ("localhost", "ann@bank.example", "pop.evil.example", False),
]


@pytest.mark.parametrize(("host", "user", "name", "suggested"), NAMES)
def test_names_of_a_certificate(host: str, user: str, name: str, *, suggested: bool) -> None:
    """Only a name in a domain that the person named is suggested, for who answers chose them."""
    certified = make("w", issuer=ROOT, hosts=(name, "*.evil.example", "a b;rm"))
    with faulty_server(tls=certified.serving()) as running:
        port = running.tls_port
        assert port
        for server_name in ("", host):
            at = "127.0.0.1" if server_name else host
            options = Options(
                context=trusting(),
                server_name=server_name,
                resolve={(at, port): "127.0.0.1"},
            )
            target = Target(at, port, "implicit", user)
            report = examine(CheckRequest("x", target, options, password=lambda: PASSWORD))
            assert report.id == "tls-wronghost"
            assert report.failure is not None
            said = " ".join(report.failure.commands)
            assert (name in said.split("@")[-1]) is suggested
            assert "evil" not in said.split("@")[-1]
            assert name in report.failure.evidence
