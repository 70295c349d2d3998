"""Errors of TLS are reported by their cause, and the password is not sent."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from restante.client import blocking, port_probe
from restante.client.options import Options, Target, Tls
from restante.client.tls import unverified_context, verifying_context
from restante.diagnosis.report import Report
from restante.diagnosis.request import CheckRequest
from restante.diagnosis.run import examine
from restante.diagnosis.steps import rejected_certificate
from restante.misbehave.changes import after, instead
from restante.net import connecting
from restante.protocol.errors import RemoteError
from support.authority import DAY, GOOD, HOSTS, INTERMEDIATE, ROOT, Certified, make, trusting
from support.check_request import ANN, server_of
from support.faulty_server import PASSWORD

OPTIONS = Options(reply_seconds=2, total_seconds=20)


def ask(port: int | None, tls: Tls = "implicit", *, host: str = "localhost", **more: Any) -> Report:
    assert port
    given = {"context": trusting(), "resolve": {(host, port): "127.0.0.1"}}
    options = replace(OPTIONS, **{**given, **more.pop("options", {})})
    target = Target(host, port, tls, ANN)
    password: Callable[[], str] = lambda: PASSWORD  # noqa: E731
    return examine(CheckRequest("ann", target, options, password=password, **more))


FAULTS: list[tuple[str, Callable[[], Certified], str]] = [
    ("tls-expired", lambda: make("old", issuer=ROOT, begins=-700 * DAY, ends=-691 * DAY), "expired 691 days ago"),
    ("tls-notyet", lambda: make("new", issuer=ROOT, begins=2 * DAY), "valid from"),
    ("tls-selfsigned", lambda: make("self", hosts=HOSTS), "is self-signed"),
    ("tls-unknown-ca", lambda: make("x", issuer=make("Stranger", authority=True)), "issuer of x, Stranger, is not trusted"),
    ("tls-wronghost", lambda: make("w", issuer=ROOT, hosts=("mail.example.com",)), "mail.example.com; requested was localhost"),
    ("tls-weak", lambda: make("k", issuer=ROOT, key=rsa.generate_private_key(65537, 1024)), "too weak"),
]  # fmt: skip


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize(("name", "certified", "said"), FAULTS, ids=[f[0] for f in FAULTS])
def test_untrusted_certificate_ends_check(
    name: str, certified: Callable[[], Certified], said: str, tls: Tls
) -> None:
    """A certificate that cannot be verified ends the check before the password is sent."""
    with server_of((), tls=_lenient(certified())) as running:
        report = ask(running.tls_port if tls == "implicit" else running.port, tls)
    assert (report.id, report.exit_code) == (name, 5)
    assert report.failure is not None
    assert said in report.failure.evidence
    assert report.steps[-1].phase == "login"
    assert report.steps[-1].outcome == "not tried"
    assert not any(line.startswith(("USER", "PASS", "AUTH")) for line in running.commands)


def _lenient(certified: Certified) -> ssl.SSLContext:
    """Return a server's settings that serve weak keys too."""
    weak = isinstance(certified.key, rsa.RSAPrivateKey)
    return certified.serving(minimum=ssl.TLSVersion.TLSv1_2 if weak else None)


@pytest.mark.parametrize(
    ("certified", "verdict"),
    [
        (lambda: make("mail.example.com", hosts=("mail.example.com",)), "tls-selfsigned"),
        (lambda: make("mail", issuer=make("S", authority=True), hosts=("*.x.org",)), "tls-unknown-ca"),
        (lambda: make("localhost", hosts=()), "tls-selfsigned"),
    ],
)  # fmt: skip
def test_a_wrong_name_beside_another_fault(
    certified: Callable[[], Certified], verdict: str
) -> None:
    """A certificate that is not trusted, and is of another host, has both in the report."""
    with server_of((), tls=certified().serving()) as running:
        report = ask(running.tls_port)
    assert report.id == verdict
    [also] = [text for step in report.steps for label, text in step.details if label == "also"]
    assert also == "the certificate is not for localhost, either"


def test_false_dns_beside_a_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate of another host is reported together with a DNS that is false."""
    monkeypatch.setattr(connecting, "resolve", lambda *_: ["127.0.0.1"])
    portal = make("portal.example", hosts=("portal.example",))
    with server_of((), tls=portal.serving()) as running:
        report = ask(running.tls_port, host="pop.example.com", options={"resolve": {}})
    assert report.id == "tls-selfsigned"
    assert "127.0.0.1 for names that do not exist" in str(report.steps[1].details)


def test_machine_without_authorities(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that trusts no authority at all is the cause, and not the server's certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    with server_of((), tls=GOOD.serving()) as running:
        without = ask(running.tls_port, options={"context": None})
        (tmp_path / "0a1b2c3d.0").write_bytes(ROOT.pem)  # not this root's hash
        other = ask(running.tls_port, options={"context": None})
    assert (without.id, without.exit_code) == ("tls-no-authorities", 5)
    assert other.id == "tls-unknown-ca"


@pytest.mark.parametrize("verdict", ["tls-expired", "tls-notyet"])
def test_clock_beside_dates(verdict: str) -> None:
    """The time of this machine is shown beside dates of a certificate that do not fit it."""
    begins = 2 if verdict == "tls-notyet" else -90
    certified = make("x", issuer=ROOT, begins=begins * DAY, ends=(begins + 30) * DAY)
    with server_of((), tls=certified.serving()) as running:
        report = ask(running.tls_port)
    assert report.id == verdict
    clock = dict(report.steps[1].details)["clock here"]
    assert clock.startswith(dt.datetime.now(dt.UTC).strftime("%Y-"))


@pytest.mark.parametrize("version", ["", "TLSv1"])
def test_old_server_that_closes(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """A server that closes at a new handshake, and answers an old one, is noted to be old."""
    monkeypatch.setattr(port_probe, "old_version", lambda *_: version)
    with server_of("greeting: close at 0%") as running:
        report = ask(running.port)
    assert report.id == "tls-noreply"
    assert ("a handshake of TLSv1, which" in str(report.steps[1].details)) is bool(version)


def test_missing_intermediate() -> None:
    """A missing intermediate has a verdict other than an unknown authority."""
    leaf = make("localhost", issuer=INTERMEDIATE, fetchable=True)
    with server_of((), tls=leaf.serving(chain=False)) as running:
        report = ask(running.tls_port)
    assert report.id == "tls-chain"
    assert report.failure is not None
    assert "Test Intermediate" in report.failure.evidence
    with server_of((), tls=leaf.serving()) as running:
        assert ask(running.tls_port).id == "ok"


def test_an_old_version_of_tls_is_named() -> None:
    """A server with only old TLS versions is reported so."""
    with server_of((), tls=GOOD.serving(minimum=ssl.TLSVersion.TLSv1_1)) as running:
        report = ask(running.tls_port)
    assert report.id == "tls-old"
    assert "server uses" in str(report.steps)


def test_tls_spoken_to_a_port_in_clear_is_told() -> None:
    """TLS on a port in clear text has its own verdict."""
    with server_of(()) as running:
        report = ask(running.port)
    assert (report.id, report.exit_code) == ("plain-on-tls", 6)
    assert report.failure is not None
    assert report.failure.commands[0].startswith("pop3 check pop3://ann@example.com@localhost:")


def test_tls_spoken_to_another_protocol_names_it() -> None:
    """TLS on the port of another protocol has a verdict that names the protocol."""
    with server_of("greeting-smtp") as running:
        report = ask(running.port)
    assert report.id == "wrong-protocol"


def test_starttls_on_tls_port() -> None:
    """STARTTLS to a port with implicit TLS is reported, with the right command."""
    with server_of((), tls=GOOD.serving()) as running:
        report = ask(running.tls_port, "starttls", options={"reply_seconds": 1})
    assert report.id == "tls-on-plain"
    assert report.failure is not None
    where = f"localhost:{running.tls_port}"
    assert report.failure.commands == (
        f"pop3 check pop3s://ann@example.com@{where} --resolve {where}:127.0.0.1",
    )


def test_wrong_protocol_before_certificate() -> None:
    """With another protocol and a bad certificate, the protocol is the cause."""
    with server_of("greeting-smtp", tls=make("self", hosts=HOSTS).serving()) as running:
        report = ask(running.tls_port)
    assert (report.id, report.exit_code) == ("wrong-protocol", 6)
    step = report.steps[-1]
    assert "SMTP server" in step.text
    assert step.details[0] == ("certificate", "tls-selfsigned: self is self-signed")


@pytest.mark.parametrize(
    ("begins", "ends", "found"),
    [(-88, 2, "tls-soon"), (-75, 15, "ok"), (-1, 5, "ok"), (-5, 1, "tls-soon")],
)
def test_a_certificate_that_ends_soon_is_a_warning(begins: int, ends: int, found: str) -> None:
    """A certificate that expires soon is a warning."""
    certified = make("localhost", issuer=ROOT, begins=begins * DAY, ends=ends * DAY)
    with server_of((), tls=certified.serving()) as running:
        report = ask(running.tls_port)
        quiet = ask(running.tls_port, warn_expiring=False)
    assert (report.id, quiet.id) == (found, "ok")


def test_a_name_in_the_subject_alone() -> None:
    """Most clients ignore the common name of the subject, so a certificate without another name is
    a warning.
    """
    with server_of((), tls=make("localhost", issuer=ROOT, hosts=()).serving()) as running:
        report = ask(running.tls_port)
    assert (report.id, report.exit_code, report.ok) == ("tls-subject", 1, True)


def test_another_name_in_the_subject_alone() -> None:
    """With -k, another server's name in the subject is not taken for the name of this one."""
    with server_of((), tls=make("other.example", hosts=()).serving()) as running:
        unverified = {"context": unverified_context()}
        report = ask(running.tls_port, verify=False, trust=trusting(), options=unverified)
    assert [warning.id for warning in report.warnings] == ["tls-selfsigned"]


def test_expired_intermediate() -> None:
    """An intermediate certificate that has expired is named, and not the server's own."""
    old = make("Old CA", issuer=ROOT, authority=True, begins=-90 * DAY, ends=-3.5 * DAY)
    with server_of((), tls=make("localhost", issuer=old).serving()) as running:
        report = ask(running.tls_port)
    assert report.id == "tls-expired"
    assert report.failure is not None
    assert "Old CA expired 3 days ago" in report.failure.evidence
    assert "the certificate of localhost 89 days left" in report.failure.evidence


def test_days_of_expired_certificate() -> None:
    """The number of days for programs is that of the text: -3 is "3 days ago"."""
    certified = make("localhost", issuer=ROOT, begins=-90 * DAY, ends=-3.5 * DAY)
    with server_of((), tls=certified.serving()) as running:
        report = ask(running.tls_port)
    assert report.failure is not None
    assert "expired 3 days ago" in report.failure.evidence
    assert report.failure.facts["certificate"]["days_left"] == -3


def test_stls_that_is_missing_keeps_the_password_at_home() -> None:
    """Without STLS no name or password is sent."""
    with server_of(()) as running:
        report = ask(running.port, "starttls", host="mail.example.com")
    assert (report.id, report.exit_code) == ("stls-missing", 5)
    assert not any(line.startswith(("USER", "PASS")) for line in running.commands)


def test_stls_refused_without_a_reason() -> None:
    """An STLS that is rejected without words is not quoted as an empty text."""
    with server_of("CAPA: -ERR\nSTLS: -ERR") as running:
        report = ask(running.port, "starttls", host="mail.example.com")
    assert report.id == "stls-missing"
    assert report.failure is not None
    assert '"-ERR without a reason"' in report.failure.evidence


def test_stls_that_is_refused_is_told() -> None:
    """A rejected STLS has its own verdict."""
    with server_of("stls-refused", tls=GOOD.serving()) as running:
        report = ask(running.port, "starttls")
    assert report.id == "stls-refused"


def test_stls_that_ends_the_connection() -> None:
    """A server that closes the connection at STLS is reported with that command."""
    with server_of("STLS: close", tls=GOOD.serving()) as running:
        report = ask(running.port, "starttls")
    assert report.id == "conn-lost"
    assert ("after", "STLS") in report.steps[-1].details


def test_names_of_untrusted_certificate() -> None:
    """A certificate with several faults is shown with its names, which may be wrong too."""
    with server_of((), tls=make("self", hosts=("a.example", "b.example")).serving()) as running:
        report = ask(running.tls_port)
    assert report.id == "tls-selfsigned"
    assert ("names", "a.example, b.example") in report.steps[-2].details


def test_stls_that_fails_behind_its_answer() -> None:
    """Dovecot confirms STLS, and then sends -ERR where it cannot read its certificate."""
    failure = after("STLS", b"-ERR [SYS/TEMP] TLS initialization failed.\r\n")
    with server_of(failure, tls=GOOD.serving()) as running:
        report = ask(running.port, "starttls")
    assert report.id == "stls-refused"
    assert report.failure is not None
    assert "TLS initialization failed" in report.failure.evidence


def test_words_behind_the_answer_to_stls_are_an_attack() -> None:
    """Octets after the reply to STLS are reported as an injection."""
    with server_of("stls-injection", tls=GOOD.serving()) as running:
        report = ask(running.port, "starttls")
    assert report.id == "stls-injection"


def test_an_insecure_check_goes_on_and_warns() -> None:
    """Without verification an expired certificate is a warning, and the check logs in."""
    certified = make("old", issuer=ROOT, begins=-700 * DAY, ends=-691 * DAY)
    with server_of((), tls=certified.serving()) as running:
        report = ask(
            running.tls_port,
            verify=False,
            trust=trusting(),
            options={"context": unverified_context()},
        )
    assert (report.id, report.exit_code) == ("tls-expired", 1)
    assert report.logged_in


def test_a_good_certificate_is_told_with_its_days() -> None:
    """A valid certificate is reported with the days that it has left."""
    with server_of((), tls=GOOD.serving()) as running:
        report = ask(running.tls_port)
    assert report.id == "ok"
    step = next(step for step in report.steps if step.phase == "tls")
    assert "TLSv1.3; certificate localhost, 89 days left, chain complete" in step.text


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("way", ["implicit", "starttls"])
def test_client_certificate(version: ssl.TLSVersion, way: Tls) -> None:
    """A server that requires a client certificate is reported so, with each version of TLS."""
    picky = GOOD.serving()
    picky.verify_mode = ssl.CERT_REQUIRED
    picky.maximum_version = version
    picky.load_verify_locations(cadata=ROOT.pem.decode())
    with server_of((), tls=picky) as running:
        report = ask(running.tls_port if way == "implicit" else running.port, way)
    assert (report.id, report.exit_code) == ("tls-client-cert", 5)


PURPOSE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
CONSTRAINT = x509.NameConstraints([x509.DNSName("example.org")], None)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
UNUSABLE: dict[str, Callable[[], Certified]] = {
    "purpose": lambda: make("localhost", issuer=ROOT, extensions=[(PURPOSE, False)]),
    "CA certificate": lambda: make("localhost", issuer=make("Not an authority", issuer=ROOT)),
    "subtree violation": lambda: make(
        "localhost",
        issuer=make("Limited", issuer=ROOT, authority=True, extensions=[(CONSTRAINT, True)]),
    ),
    "critical extension": lambda: make("localhost", issuer=ROOT, extensions=[(UNKNOWN, True)]),
}


@pytest.mark.parametrize(("said", "certified"), UNUSABLE.items(), ids=list(UNUSABLE))
def test_a_certificate_of_a_trusted_issuer(said: str, certified: Callable[[], Certified]) -> None:
    """If something else than trust is wrong, the evidence has OpenSSL's words for it."""
    with server_of((), tls=certified().serving()) as running:
        report = ask(running.tls_port)
    assert (report.id, report.exit_code) == ("tls-invalid", 5)
    assert report.failure is not None
    assert said in report.failure.evidence
    assert "not trusted" not in report.failure.evidence


@pytest.mark.parametrize(
    ("way", "end"),
    [
        ("implicit", "close"),
        ("implicit", "silence"),
        ("starttls", "close"),
        ("starttls", "reset"),
        ("starttls", "silence"),
    ],
)
def test_a_handshake_without_an_end(way: Tls, end: str) -> None:
    """A server that hangs up or falls silent in the handshake has a verdict of its own."""
    rule = f"STLS: {end} at 100%" if way == "starttls" else f"greeting: {end} at 0%"
    seconds = 0.5 if end == "silence" else 20
    options = {"connect_seconds": seconds, "reply_seconds": seconds}
    with server_of(rule, tls=GOOD.serving() if way == "starttls" else None) as running:
        report = ask(running.port, way, options=options)
    assert (report.id, report.exit_code) == ("tls-noreply", 4)
    assert report.failure is not None
    assert "the handshake of TLS" in report.failure.evidence
    assert "line with a dot" not in report.failure.evidence


OPENINGS = {
    "alert 70": (b"\x15\x03\x01\x00\x02\x02\x46", "tls-old"),
    "alert 40": (b"\x15\x03\x01\x00\x02\x02\x28", "tls-failed"),
    "alert 80": (b"\x15\x03\x01\x00\x02\x02\x50", "tls-failed"),
    "alert 112": (b"\x15\x03\x01\x00\x02\x02\x70", "tls-failed"),
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "wrong-protocol"),
    "no TLS": (b"hello\r\n", "wrong-protocol"),
    "POP3": (b"+OK ready\r\n", "plain-on-tls"),
}


@pytest.mark.parametrize(("answer", "name"), OPENINGS.values(), ids=list(OPENINGS))
def test_a_handshake_is_judged_by_its_octets(answer: bytes, name: str) -> None:
    """The verdict hangs on what came, not on the words or settings of the local library.

    That of the other commands is the same.
    """
    with server_of(("greeting: close at 100%", instead("GREETING", answer))) as running:
        report = ask(running.port)
        with pytest.raises(RemoteError) as raised:
            blocking.connect(f"pop3s://ann@127.0.0.1:{running.port}", PASSWORD)
    assert (report.id, raised.value.id) == (name, name)


def test_a_version_that_the_library_cannot_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old version is found without a library that speaks it."""
    monkeypatch.setattr(rejected_certificate, "lenient_context", unverified_context)
    with server_of((), tls=GOOD.serving(minimum=ssl.TLSVersion.TLSv1_1)) as running:
        assert running.tls_port
        assert port_probe.old_version("127.0.0.1", running.tls_port, 2) == "TLSv1.1"
        report = ask(running.tls_port)
    assert report.id == "tls-old"
    assert report.failure is not None
    assert "TLSv1.1 at most" in report.failure.evidence


def test_a_server_that_local_settings_refuse() -> None:
    """A server that speaks TLS 1.2 is not old, though the settings here want TLS 1.3."""
    modern = trusting()
    modern.minimum_version = ssl.TLSVersion.TLSv1_3
    with server_of((), tls=GOOD.serving(minimum=ssl.TLSVersion.TLSv1_2)) as running:
        report = ask(running.tls_port, options={"context": modern})
    assert report.id == "tls-failed"
    assert report.failure is not None
    assert "settings of this machine reject" in report.failure.evidence


def test_renewed_authorities(tmp_path: Path) -> None:
    """A changed file of authorities is read again; an unchanged one is not."""
    file = tmp_path / "ca.pem"
    first, second = trustme.CA(), trustme.CA()
    first.cert_pem.write_to_path(file)
    context = verifying_context(str(file))
    assert verifying_context(str(file)) is context
    first.cert_pem.write_to_path(file)
    second.cert_pem.write_to_path(file, append=True)
    assert len(verifying_context(str(file)).get_ca_certs()) == 2


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        (b'"IMPLEMENTATION" "x"\r\n', "a ManageSieve server with the greeting"),
        (b"hello\r\n", 'not a POP3 server: its greeting is "hello"'),
    ],
)
def test_article_of_another_protocol(greeting: bytes, kind: str) -> None:
    """The sentence about another protocol is the same one with TLS and without it."""
    ways: tuple[Tls, ...] = ("implicit", "starttls")
    for way in ways:
        with server_of(instead("GREETING", greeting)) as server:
            report = ask(server.port, way)
        assert report.failure
        assert f"this is {kind}" in report.failure.evidence
