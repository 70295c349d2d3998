"""The check reports the greeting and the capabilities."""

from __future__ import annotations

import pytest

from restante.client import greeting
from restante.client.options import Tls
from restante.diagnosis.steps import rejected_certificate
from restante.diagnosis.steps.greeting import describe_changes
from support.authority import GOOD, make, trusting
from support.check_request import ask, server_of
from support.web_server import web_server


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (
            {"SASL": "PLAIN LOGIN", "STLS": "", "TOP": ""},
            {"SASL": "PLAIN LOGIN XOAUTH2", "TOP": ""},
            "+SASL(PLAIN LOGIN XOAUTH2) -SASL(PLAIN LOGIN) -STLS",
        ),
        ({"TOP": ""}, {"TOP": ""}, "the same"),
        (None, {"TOP": ""}, "+TOP"),
    ],
)
def test_changed_capabilities(
    before: dict[str, str] | None, after: dict[str, str], text: str
) -> None:
    """A capability with several words stays whole."""
    assert describe_changes(before, after) == f"with TLS: {text}"


@pytest.mark.parametrize("https", [False, True])
@pytest.mark.parametrize("way", ["implicit", "starttls"])
def test_a_web_server(https: bool, way: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that waits for a request is recognised by its answer to one, in TLS as well."""
    monkeypatch.setattr(greeting, "FIRST_WAIT", 0.2)
    with web_server(GOOD.serving() if https else None) as port:
        report = ask(port, tls=way, options={"context": trusting()})
    assert report.id == "wrong-protocol"
    assert report.failure is not None
    assert "HTTP" in report.failure.evidence


def test_portal_with_its_own_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A web server in place of the mail server is recognised behind a certificate of its own."""
    monkeypatch.setattr(rejected_certificate, "FIRST_WAIT", 0.2)
    portal = make("portal.example", hosts=("portal.example",))
    with web_server(portal.serving()) as port:
        report = ask(port, tls="implicit", options={"context": trusting()})
    assert report.id == "wrong-protocol"
    assert report.failure is not None
    assert "HTTP" in report.failure.evidence
    assert ("certificate", "tls-selfsigned: portal.example is self-signed") in report.steps[
        1
    ].details


def test_another_protocol_in_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that uses TLS for another protocol is not suggested for POP3."""
    monkeypatch.setattr(greeting, "FIRST_WAIT", 0.2)
    with server_of("greeting-imap", tls=GOOD.serving()) as running:
        report = ask(running.tls_port or 0)
    assert report.id == "wrong-protocol"
    assert report.failure is not None
    assert "IMAP" in report.failure.evidence


@pytest.mark.parametrize("way", ["implicit", "starttls"])
def test_a_late_greeting(way: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    """A greeting that comes while the port is asked what it speaks is read all the same."""
    monkeypatch.setattr(greeting, "FIRST_WAIT", 0.2)
    options = {"context": trusting(), "reply_seconds": 20}
    with server_of("greeting: wait 500ms", tls=GOOD.serving()) as running:
        port = running.tls_port if way == "implicit" else running.port
        report = ask(port or 0, tls=way, options=options)
    assert report.id == "ok"


def test_capabilities_that_end_the_connection() -> None:
    """After a second connection, without CAPA, the step of TLS reports what TLS fails at."""
    with server_of("closed-at-capa", tls=GOOD.serving()) as running:
        report = ask(running.port, tls="starttls", options={"require_tls": True})
    assert [step.phase for step in report.steps if step.outcome == "failure"] == ["tls"]
