"""A check advises users of the large providers without a password or a sign-in."""

from __future__ import annotations

import re
from typing import Any

import pytest

from restante.diagnosis.report import Report
from support.check_request import ask, server_of


def never() -> str:
    raise AssertionError("the password was asked for")


def ask_as(host: str, **more: Any) -> tuple[Report, dict[str, str]]:
    """Check an account of a provider's server, and return the report and the login's details."""
    with server_of("login-token-only") as server:
        options = {"resolve": {(host, server.port): "127.0.0.1"}, "insecure_plaintext": True}
        report = ask(server.port, host=host, options=options, **more)
    [step] = [step for step in report.steps if step.phase == "login"]
    return report, dict(step.details)


@pytest.mark.parametrize("can_ask", [True, False])
def test_no_password_possible(can_ask: bool) -> None:
    """At Microsoft no password is asked for: the check names the command that signs in."""
    report, details = ask_as(
        "outlook.office365.com", password=never, password_named=False, can_ask=can_ask
    )
    assert report.failure
    assert (report.failure.id, report.exit_code) == ("auth-oauth", 10)
    assert "Microsoft accepts no password for POP" in report.failure.evidence
    assert details["sign in"] == "pop3 login ann"
    assert "no app passwords" in details["app password"]


def test_nobody_to_ask() -> None:
    """At Google without a terminal the check names both ways, instead of a usage error."""
    report, details = ask_as("pop.gmail.com", password=never, password_named=False, can_ask=False)
    assert report.failure
    assert report.failure.id == "auth-oauth"
    assert details["sign in"] == "pop3 login ann"
    assert "https://myaccount.google.com/apppasswords" in details["app password"]


@pytest.mark.parametrize("host", ["pop.gmail.com", "outlook.office365.com", "pop.mail.yahoo.com"])
def test_rejected_password(host: str) -> None:
    """A password that a provider rejects leads to the same advice."""
    report, details = ask_as(host)
    assert report.failure
    assert report.failure.id == "auth-oauth"
    assert details["sign in"] == "pop3 login ann"
    assert details["app password"]


@pytest.mark.parametrize("host", ["pop.163.com", "pop3.126.com", "pop.qq.com", "pop.mail.ru"])
def test_another_password(host: str) -> None:
    """A provider without a sign-in that accepts another password than the account's says so."""
    with server_of("PASS: -ERR Unable to log on") as server:
        options = {"resolve": {(host, server.port): "127.0.0.1"}, "insecure_plaintext": True}
        report = ask(server.port, host=host, options=options)
    [step] = [step for step in report.steps if step.phase == "login"]
    assert report.id == "auth-refused"
    assert "sign in" not in dict(step.details)
    assert re.search("authorization code|external programs", dict(step.details)["app password"])


def test_unknown_provider() -> None:
    """Other servers get no advice on sign-ins."""
    report, details = ask_as("pop.example.com", password_named=False)
    assert report.failure
    assert "sign in" not in details
