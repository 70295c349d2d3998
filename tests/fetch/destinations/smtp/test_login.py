"""TLS and authentication at an SMTP server."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterator
from pathlib import Path

import pytest

from fetch.destinations.smtp_double import DRIP, FLOOD, SmtpDouble, smtp_double
from restante.fetch.destinations.smtp.address import parse_smtp_url
from restante.fetch.destinations.smtp.login import Login, connect
from restante.fetch.destinations.smtp.session import SmtpDeadlines, SmtpSession
from restante.fetch.interfaces import DestinationUnavailableError
from restante.protocol.secret import Secret
from support.authority import GOOD, make, root_file
from support.live import PATIENCE

USER, PASSWORD, TOKEN = "ann", "sécret", "ya29.token"
PASSWORD_LOGIN = Login(password=Secret(PASSWORD.encode()))
TOKEN_LOGIN = Login(token=lambda: TOKEN)


@pytest.fixture
def double(tmp_path: Path) -> Iterator[SmtpDouble]:
    root_file(tmp_path)
    with smtp_double() as running:
        running.tls = GOOD.serving()
        running.features = [b"STARTTLS", b"AUTH PLAIN"]
        running.auth = _plain
        yield running


def _connect(
    double: SmtpDouble,
    settings: str = "",
    login: Login | None = PASSWORD_LOGIN,
    scheme: str = "smtp",
    host: str = "localhost",
) -> SmtpSession:
    url = f"{scheme}://{USER}@{host}:{double.port}?rcpt=ann@example.com{settings}"
    return connect(parse_smtp_url(url), login, SmtpDeadlines(open=20))


def _encode(text: str) -> bytes:
    return base64.b64encode(text.encode())


def _plain(lines: list[bytes]) -> bytes:
    expected = b"AUTH PLAIN " + _encode(f"\0{USER}\0{PASSWORD}")
    return b"235 ok" if lines == [expected] else b"535 5.7.8 wrong"


def _login(lines: list[bytes]) -> bytes:
    if len(lines) < 3:
        return b"334 " + _encode("Username:" if len(lines) == 1 else "Password:")
    return b"235 ok" if lines[1:] == [_encode(USER), _encode(PASSWORD)] else b"535 wrong"


def _cram_md5(lines: list[bytes]) -> bytes:
    challenge = "<1.2@example.com>"
    if len(lines) == 1:
        return b"334 " + _encode(challenge)
    digest = hmac.digest(PASSWORD.encode(), challenge.encode(), "md5").hex()
    return b"235 ok" if lines[1] == _encode(f"{USER} {digest}") else b"535 wrong"


def _xoauth2(lines: list[bytes]) -> bytes:
    expected = b"AUTH XOAUTH2 " + _encode(f"user={USER}\1auth=Bearer {TOKEN}\1\1")
    if lines == [expected]:
        return b"235 ok"
    return b"334 " + _encode('{"status": "400"}') if len(lines) == 1 else b"535 5.7.8 wrong"


@pytest.mark.parametrize(
    ("mechanism", "login"),
    [
        ("PLAIN", PASSWORD_LOGIN),
        ("LOGIN", PASSWORD_LOGIN),
        ("CRAM-MD5", PASSWORD_LOGIN),
        ("XOAUTH2", TOKEN_LOGIN),
    ],
)
def test_mechanisms(double: SmtpDouble, mechanism: str, login: Login) -> None:
    """Each mechanism authenticates by a password or by a token, and with a wrong one it fails."""
    answers = {"PLAIN": _plain, "LOGIN": _login, "CRAM-MD5": _cram_md5, "XOAUTH2": _xoauth2}
    double.features = [b"AUTH EXTERNAL " + mechanism.encode()]
    double.auth = answers[mechanism]
    _connect(double, login=login).leave()
    wrong = Login(Secret(b"wrong")) if login.password else Login(token=lambda: "wrong")
    with pytest.raises(DestinationUnavailableError, match=f"{USER} by {mechanism}: 535") as caught:
        _connect(double, login=wrong)
    assert "wrong" not in str(caught.value).replace("535 5.7.8 wrong", "").replace("535 wrong", "")


def test_starttls(double: SmtpDouble, tmp_path: Path) -> None:
    """With STARTTLS the session begins again, and only then has authentication."""
    _connect(double, f"&tls=yes&cafile={tmp_path}/root.pem").leave()
    assert double.verbs == [b"EHLO", b"STARTTLS", b"EHLO", b"AUTH", b"QUIT"]


def test_tls_at_once(double: SmtpDouble, tmp_path: Path) -> None:
    """A URL with smtps has TLS before the greeting."""
    double.at_once = True
    _connect(double, f"&cafile={tmp_path}/root.pem", scheme="smtps").leave()
    assert double.verbs == [b"EHLO", b"AUTH", b"QUIT"]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.parametrize("kind", ["unknown", "other host"])
def test_invalid_certificates(double: SmtpDouble, tmp_path: Path, scheme: str, kind: str) -> None:
    """A certificate that cannot be verified ends the session before a secret is sent."""
    double.at_once = scheme == "smtps"
    settings = "&tls=yes" if kind == "unknown" else f"&tls=yes&cafile={tmp_path}/root.pem"
    if kind == "other host":
        double.tls = make("other", issuer=GOOD.issuer, hosts=("other.example",)).serving()
    with pytest.raises(DestinationUnavailableError, match="its certificate is not valid: "):
        _connect(double, settings, scheme=scheme)
    assert not any(b"AUTH" in line for line in double.lines)


def test_starttls_is_not_offered(double: SmtpDouble) -> None:
    """A server without STARTTLS gets nothing where TLS is required."""
    double.features = [b"AUTH PLAIN"]
    with pytest.raises(DestinationUnavailableError, match="it offers no STARTTLS"):
        _connect(double, "&tls=yes")
    assert double.verbs == [b"EHLO"]


@pytest.mark.parametrize("reply", [b"454 later", b"220 go on\r\n250 injected"])
def test_starttls_fails(double: SmtpDouble, reply: bytes) -> None:
    """A refusal of STARTTLS, or more than its reply, ends the session."""
    double.answers[b"STARTTLS"] = reply
    with pytest.raises(DestinationUnavailableError, match=r"454 later|sent more after its reply"):
        _connect(double, "&tls=yes")


def test_no_password_in_clear(double: SmtpDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """To another machine a mechanism that hides the password is used without TLS."""
    monkeypatch.setattr("restante.fetch.destinations.smtp.login.is_loopback", lambda _: False)
    double.features, double.auth = [b"AUTH PLAIN CRAM-MD5"], _cram_md5
    _connect(double, "&tls=no").leave()
    assert b"AUTH CRAM-MD5" in double.lines


def test_no_secret_without_tls(double: SmtpDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """To another machine no password is sent without TLS."""
    monkeypatch.setattr("restante.fetch.destinations.smtp.login.is_loopback", lambda _: False)
    with pytest.raises(DestinationUnavailableError, match="without TLS no password"):
        _connect(double, "&tls=no")
    assert not any(b"AUTH" in line for line in double.lines)


@pytest.mark.parametrize(
    "features", [[], [b"AUTH"], [b"AUTH GSSAPI EXTERNAL XOAUTH2"], [b"STARTTLS"]]
)
def test_no_mechanism(double: SmtpDouble, features: list[bytes]) -> None:
    """A server without a mechanism for passwords is unavailable; TLS is named if it is offered."""
    double.features = features
    with pytest.raises(DestinationUnavailableError, match="no way to authenticate ann") as caught:
        _connect(double)
    assert ("add tls=yes" in str(caught.value)) == (b"STARTTLS" in features)


def test_authentication_requires_tls(double: SmtpDouble) -> None:
    """The error says what to add where the server requires TLS for authentication."""
    double.auth = lambda _: b"538 5.7.11 Encryption required"
    with pytest.raises(DestinationUnavailableError, match="add tls=yes to the URL"):
        _connect(double)
    double.features = [b"STARTTLS"]
    with pytest.raises(DestinationUnavailableError, match="add tls=yes to the URL"):
        _connect(double)


def test_no_password(double: SmtpDouble) -> None:
    """A user without a password is an error before the connection."""
    with pytest.raises(DestinationUnavailableError, match="the password of ann is missing"):
        _connect(double, login=None)
    assert double.sessions == 0


def test_endless_challenges(double: SmtpDouble) -> None:
    """A server that asks again and again is left."""
    double.auth = lambda _: b"334 "
    with pytest.raises(DestinationUnavailableError, match="rejected the login"):
        _connect(double)


def test_an_unusable_cafile(double: SmtpDouble, tmp_path: Path) -> None:
    """A file of certificates that cannot be read is named."""
    with pytest.raises(DestinationUnavailableError, match=f"cafile={tmp_path}/none cannot be used"):
        _connect(double, f"&tls=yes&cafile={tmp_path}/none")


def test_trace(double: SmtpDouble) -> None:
    """The trace has commands and replies, and no secret, whatever the mechanism."""
    for mechanism, answer in (("PLAIN", _plain), ("LOGIN", _login), ("CRAM-MD5", _cram_md5)):
        double.features, double.auth = [b"STARTTLS", b"AUTH " + mechanism.encode()], answer
        url = f"smtp://{USER}@localhost:{double.port}?rcpt=ann@example.com"
        lines: list[str] = []

        def trace(direction: str, line: str, lines: list[str] = lines) -> None:
            lines.append(f"{direction} {line}")

        connect(parse_smtp_url(url), PASSWORD_LOGIN, SmtpDeadlines(open=20), trace).leave()
        assert f"> AUTH {mechanism} ***" in lines
        assert "< 235 ok" in lines
        assert "> QUIT" in lines
        for secret in (
            PASSWORD,
            _encode(PASSWORD).decode(),
            _encode(f"\0{USER}\0{PASSWORD}").decode(),
        ):
            assert not any(secret in line for line in lines)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"])
@pytest.mark.parametrize("reply", [b"500 What is ", b"What is "])
def test_repeated_secret(double: SmtpDouble, mechanism: str, reply: bytes) -> None:
    """A server that repeats a response makes no secret show in the error or the trace."""

    responses: list[str] = []

    def answer(lines: list[bytes]) -> bytes:
        responses.append(lines[-1].split()[-1].decode())
        last = 3 if mechanism == "LOGIN" else 2 if mechanism == "CRAM-MD5" else 1
        return b"334 " + _encode("<1.2@x>") if len(lines) < last else reply + lines[-1]

    double.features, double.auth = [b"AUTH " + mechanism.encode()], answer
    login = TOKEN_LOGIN if mechanism == "XOAUTH2" else PASSWORD_LOGIN
    url = f"smtp://{USER}@localhost:{double.port}?rcpt=ann@example.com"
    shown: list[str] = []
    with pytest.raises(DestinationUnavailableError) as caught:
        connect(
            parse_smtp_url(url), login, SmtpDeadlines(open=20), lambda _, line: shown.append(line)
        )
    shown.append(str(caught.value))
    assert not [line for line in shown if responses[-1][:8] in line]
    assert [line for line in shown if "What is" in line and "***" in line]


@pytest.mark.parametrize("verb", [b"STARTTLS", b"AUTH"])
@pytest.mark.parametrize("answer", [DRIP, FLOOD])
def test_answers_without_an_end(
    double: SmtpDouble, tmp_path: Path, verb: bytes, answer: bytes
) -> None:
    """STARTTLS and AUTH share one time, however octets come, and their replies are bounded."""
    double.answers[verb] = answer
    seconds = 0.3 if answer == DRIP else PATIENCE
    settings = f"rcpt=ann@example.com&tls=yes&cafile={tmp_path}/root.pem"
    address = parse_smtp_url(f"smtp://{USER}@localhost:{double.port}?{settings}")
    with pytest.raises(
        DestinationUnavailableError, match=r"in time|is not SMTP|its reply has over"
    ):
        connect(address, PASSWORD_LOGIN, SmtpDeadlines(open=seconds))


def test_reply_of_another_protocol(double: SmtpDouble, tmp_path: Path) -> None:
    """A reply that is not SMTP is in the error, since it often names the server."""
    double.answers[b"AUTH"] = b"+OK POP3 server\r\n"
    settings = f"rcpt=ann@example.com&tls=yes&cafile={tmp_path}/root.pem"
    address = parse_smtp_url(f"smtp://{USER}@localhost:{double.port}?{settings}")
    said = r'its reply is not SMTP: "\+OK POP3 server"'
    with pytest.raises(DestinationUnavailableError, match=said):
        connect(address, PASSWORD_LOGIN, SmtpDeadlines(open=PATIENCE))
