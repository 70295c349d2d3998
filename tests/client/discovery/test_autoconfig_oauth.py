"""The issuer that an autoconfig file names."""

from __future__ import annotations

import pytest

from restante.client.discovery.autoconfig import NoAutoconfigError, OAuthHint, parse_oauth

URLS = "<authURL>https://id.example.com/a</authURL><tokenURL>https://id.example.com/t</tokenURL>"


def file(inside: str) -> bytes:
    return f"<clientConfig><emailProvider/>{inside}</clientConfig>".encode()


def test_all_fields() -> None:
    """Issuer, scopes, endpoints and the client's id are read, without their spaces."""
    inside = f"<oAuth2><issuer>id.example.com</issuer><scope> a\n  b </scope>{URLS}"
    inside += "<clientID>messaging</clientID></oAuth2>"
    endpoints = ("https://id.example.com/a", "https://id.example.com/t")
    assert parse_oauth(file(inside)) == OAuthHint(
        "id.example.com", "a b", *endpoints, client_id="messaging"
    )


def test_an_issuer_alone() -> None:
    """An issuer that is a URL has metadata, so that it needs no endpoints."""
    inside = "<oAuth2><issuer>https://id.example.com</issuer></oAuth2>"
    assert parse_oauth(file(inside)) == OAuthHint("https://id.example.com")


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "<oAuth2/>",
        "<oAuth2><issuer>id.example.com</issuer></oAuth2>",
        f"<oAuth2>{URLS}</oAuth2>",
        f"<oAuth2><issuer>x</issuer>{URLS.replace('https', 'http')}</oAuth2>",
        f"<oAuth2><issuer>x</issuer>{URLS.replace('https:', 'javascript:')}</oAuth2>",
    ],
)
def test_no_usable_issuer(inside: str) -> None:
    """An issuer without https endpoints is left out."""
    assert parse_oauth(file(inside)) is None


def test_what_is_no_file() -> None:
    """A file that is not XML is an error, as for servers."""
    with pytest.raises(NoAutoconfigError):
        parse_oauth(b"<html>")
