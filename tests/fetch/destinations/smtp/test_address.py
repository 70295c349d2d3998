"""URLs of SMTP and LMTP servers."""

from __future__ import annotations

import pytest

from restante.fetch.destinations.smtp.address import Security, parse_smtp_url

RCPT = "?rcpt=ann@example.com"


@pytest.mark.parametrize(
    ("url", "shown", "security", "user"),
    [
        ("lmtp:/run/lmtp", "/run/lmtp", Security.NONE, ""),
        ("lmtp:/run/a%20b", "/run/a b", Security.NONE, ""),
        ("lmtp:localhost:24", "localhost:24", Security.NONE, ""),
        ("lmtp://127.0.0.1:24", "127.0.0.1:24", Security.NONE, ""),
        ("lmtp:[::1]:24", "[::1]:24", Security.NONE, ""),
        ("lmtp:mail.example.com:24", "mail.example.com:24", Security.STARTTLS, ""),
        ("smtp://localhost", "localhost:25", Security.NONE, ""),
        ("smtp://[::1]", "[::1]:25", Security.NONE, ""),
        ("smtp://mail.example.com", "mail.example.com:25", Security.STARTTLS, ""),
        ("smtp://ann@mail.example.com", "mail.example.com:587", Security.STARTTLS, "ann"),
        ("smtp://ann%40example@h.example:26", "h.example:26", Security.STARTTLS, "ann@example"),
        ("SMTPS://ann@mail.example.com/", "mail.example.com:465", Security.TLS, "ann"),
        ("smtp://bücher.example", "xn--bcher-kva.example:25", Security.STARTTLS, ""),
    ],
)  # fmt: skip
def test_servers(url: str, shown: str, security: Security, user: str) -> None:
    """A URL has host, port, security and user; loopback needs no TLS."""
    address = parse_smtp_url(url + RCPT)
    assert (str(address), address.security, address.user) == (shown, security, user)
    assert address.lmtp == url.startswith("lmtp")
    assert address.recipients.rcpt == ("ann@example.com",)


def test_no_tls_at_a_path() -> None:
    """A socket of this machine has no TLS, whatever the URL says."""
    assert parse_smtp_url(f"lmtp:/run/lmtp{RCPT}&tls=yes").security is Security.NONE


def test_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plus sign stays in an address, %XX is decoded, and ~/ is the home folder."""
    monkeypatch.setenv("HOME", "/home/ann")
    address = parse_smtp_url(
        "lmtp:mx.example:24?rcpt=ann+pop@example.com&rcpt=b%26b&tls=no&sender=me@x.example"
        "&cafile=~/ca.pem",
        "Delivered-To:2",
        {"Bob@example.com": ["bob", "carl"]},
    )
    assert address.recipients.rcpt == ("ann+pop@example.com", "b&b")
    assert (address.recipients.field, address.recipients.place) == ("Delivered-To", 2)
    assert address.recipients.addresses == (("bob@example.com", ("bob", "carl")),)
    assert (address.security, address.sender) == (Security.NONE, "me@x.example")
    assert address.cafile == "/home/ann/ca.pem"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("lmtp:localhost", "localhost' is not HOST:PORT.*write for example lmtp:localhost:24"),
        ("lmtp:mx:99999?rcpt=a", "at most 65535"),
        ("smtp:mx.example?rcpt=a", "names no host; write for example smtp://"),
        ("smtp://mx.example/path?rcpt=a", "/path has no meaning"),
        ("smtp://mx.example:99999?rcpt=a", "out of range|99999"),
        ("smtp://mx.example", r"the recipient is missing: add \?rcpt="),
        ("smtp://mx.example?rcpt=", "rcpt has no value"),
        ("smtp://mx.example?rcpt=a b", "'a b' is not an address"),
        ("smtp://mx.example?rcpt=a%0d%0aDATA", "is not an address"),
        ("smtp://mx.example?rcpt=<a>", "is not an address"),
        ("smtp://mx.example?rcpt=a&to=b", "'to' is not a setting"),
        ("smtp://mx.example?rcpt=a&tls=maybe", "use yes or no"),
        ("smtps://mx.example?rcpt=a&tls=no", "smtps always has TLS"),
        ("smtp://mx.example?rcpt=a&tls=no&tls=yes", "tls is there twice"),
        ("smtp://mx.example?rcpt=a&sender=a%0ab", "'a\\\\nb' is not an address"),
    ],
)
def test_errors(url: str, text: str) -> None:
    """An invalid URL is an error that says what to write."""
    with pytest.raises(ValueError, match=text):
        parse_smtp_url(url)


@pytest.mark.parametrize(
    ("envelope", "addresses", "text"),
    [
        ("", {"a@example.com": "a"}, 'require envelope = "FIELD"'),
        ("To:0", {}, 'envelope = "To:0" is not a field'),
        ("a b", {}, "is not a field"),
        ("To", {"a@example.com": "a b"}, "'a b' is not an address"),
    ],
)
def test_multidrop_errors(envelope: str, addresses: dict[str, str], text: str) -> None:
    """Settings of multidrop that cannot work are errors."""
    with pytest.raises(ValueError, match=text):
        parse_smtp_url("smtp://mx.example?rcpt=a", envelope, addresses)
