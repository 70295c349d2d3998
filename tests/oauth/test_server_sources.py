"""Mail servers and their domains name the issuer."""

from __future__ import annotations

import pytest

from restante.client.options import Options, Target
from restante.oauth.discovery import RejectedToken
from restante.oauth.server_sources import NetworkServerSources, read_challenge
from support.domain_files import DomainFiles

FILE = b"""<clientConfig><emailProvider>
<incomingServer type="pop3"><hostname>%s</hostname><port>995</port><socketType>SSL</socketType>
</incomingServer><oAuth2><issuer>https://id.example.com</issuer></oAuth2>
</emailProvider></clientConfig>"""


def sources(octets: bytes, user: str = "ann@example.com", place: str = "") -> NetworkServerSources:
    target = Target("pop.hoster.example", 995, "implicit", user)
    return NetworkServerSources(target, Options(), DomainFiles(octets, place))


def test_the_file_of_the_domain() -> None:
    """The first file about the server counts."""
    octets = FILE % b"pop.hoster.example"
    for place in ("", "thunderbird", ".well-known"):
        found = sources(octets, place=place).domain_file()
        assert found is not None
        assert found.issuer == "https://id.example.com"


def test_a_file_about_other_servers() -> None:
    """A file does not speak for a server that it does not name."""
    assert sources(FILE % b"pop.example.com").domain_file() is None


@pytest.mark.parametrize("user", ["ann", "", "a b@example.com"])
def test_a_user_without_a_domain(user: str) -> None:
    """Without a mail domain there is not a file to ask for."""
    assert sources(FILE % b"pop.hoster.example", user).domain_file() is None


def test_no_file() -> None:
    """A page that is not a file, or none at all, says nothing."""
    assert sources(b"<html>").domain_file() is None
    assert sources(b"", place="nowhere").domain_file() is None


def test_the_reply_to_a_token() -> None:
    """The JSON of RFC 7628 has the URL of the metadata and a scope."""
    found = read_challenge(b'{"status":"401","openid-configuration":"https://a","scope":"mail"}')
    assert found is not None
    assert (found.openid_configuration, found.scope) == ("https://a", "mail")


@pytest.mark.parametrize("octets", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_not_json(octets: bytes) -> None:
    """A server may send anything."""
    assert read_challenge(octets) is None


def test_half_a_character() -> None:
    """A scope becomes part of a URL, which cannot have half a character."""
    found = read_challenge(b'{"scope": "mail \\ud800"}')
    assert found == RejectedToken("", "mail \ufffd")


def test_odd_fields() -> None:
    """A field of another type is left out."""
    found = read_challenge(b'{"openid-configuration": 5, "scope": ["mail"]}')
    assert found is not None
    assert (found.openid_configuration, found.scope) == ("", "")
