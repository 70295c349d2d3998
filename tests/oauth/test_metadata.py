"""The metadata of an issuer: RFC 8414 and OpenID Connect Discovery."""

from __future__ import annotations

from typing import Any

import pytest

from restante.oauth import metadata
from restante.oauth.errors import OAuthError
from support.issuer import Issuer


def failure(issuer: str) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        metadata.fetch_metadata(issuer)
    return caught.value


def test_all_endpoints(issuer: Issuer) -> None:
    """The endpoints are those of the metadata."""
    found = metadata.fetch_metadata(issuer.url)
    assert found.issuer == issuer.url
    assert found.token == f"{issuer.url}/token"
    assert found.device == f"{issuer.url}/device"
    assert found.registration == f"{issuer.url}/register"
    assert found.iss_in_response is True
    assert not found.basic


@pytest.mark.parametrize(
    ("methods", "basic"),
    [
        (None, True),  # the default: RFC 8414 section 2
        (["client_secret_post", "client_secret_basic"], True),
        (["none", "private_key_jwt"], False),
    ],
)
def test_methods_of_a_client(issuer: Issuer, methods: list[str] | None, basic: bool) -> None:
    """A secret goes into the header where that is possible, as RFC 6749 section 2.3.1 prefers."""
    issuer.metadata_changes = {"token_endpoint_auth_methods_supported": methods}
    assert metadata.fetch_metadata(issuer.url).basic is basic


def test_places() -> None:
    """The path of an issuer comes after the well-known name, and before it for OpenID Connect.

    rfc8414-s3/metadata
    """
    assert metadata.metadata_urls("https://a.example/realms/b") == [
        "https://a.example/.well-known/oauth-authorization-server/realms/b",
        "https://a.example/.well-known/openid-configuration/realms/b",
        "https://a.example/realms/b/.well-known/openid-configuration",
    ]


@pytest.mark.parametrize(
    "issuer",
    [
        "http://a.example", "https://a.example?b", "https://a.example/#b", "https://", "a.example",
        "https://user:word@a.example", "file:///etc/passwd", "https://[", "https://a.example\n",
    ],
)  # fmt: skip
def test_what_is_no_issuer(issuer: str) -> None:
    """An issuer is an https URL without a query or a fragment; nothing is asked of another."""
    assert failure(issuer).id == "oauth-answer"


def test_an_object_without_an_issuer(issuer: Issuer) -> None:
    """Some servers have an object for every path; it is not metadata, and the next place counts."""
    issuer.metadata_changes = {"issuer": None}
    error = failure(issuer.url)
    assert (error.id, "the answer names no issuer" in error.text) == ("oauth-answer", True)
    assert issuer.count("/.well-known/openid-configuration") == 1


@pytest.mark.parametrize("changed", ["https://other.example", "{}/"])
def test_another_issuer(issuer: Issuer, changed: str) -> None:
    """The issuer in the metadata is compared exactly. rfc8414-s3/metadata"""
    issuer.metadata_changes = {"issuer": changed.format(issuer.url)}
    assert failure(issuer.url).id == "oauth-forged"


@pytest.mark.parametrize(
    "changes",
    [
        {"token_endpoint": "http://a.example/token"},
        {"token_endpoint": None},
        {"authorization_endpoint": 5},
        {"authorization_endpoint": "https://a.example/a#b"},
        {"code_challenge_methods_supported": ["plain"]},
    ],
)
def test_unusable_metadata(issuer: Issuer, changes: dict[str, Any]) -> None:
    """Endpoints are https, and PKCE is with S256. rfc7636-s4/s256, rfc8414-s3/metadata"""
    issuer.metadata_changes = changes
    assert failure(issuer.url).id == "oauth-answer"


@pytest.mark.parametrize(
    "field", ["registration_endpoint", "device_authorization_endpoint", "revocation_endpoint"]
)
@pytest.mark.parametrize(
    "url", ["http://a.example/x", "javascript:alert(1)", 5, "https://user:word@a.example/"]
)
def test_an_unusable_endpoint(issuer: Issuer, field: str, url: object) -> None:
    """An endpoint that a sign-in can do without counts as missing, and is named."""
    issuer.metadata_changes = {field: url}
    found = metadata.fetch_metadata(issuer.url)
    values = {
        "registration_endpoint": found.registration,
        "device_authorization_endpoint": found.device,
        "revocation_endpoint": found.revocation,
    }
    assert values[field] == ""
    assert found.unusable == (f"the {field} of the metadata is not a plain https URL",)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:631/", "https://localhost/register"])
def test_endpoints_on_this_machine(endpoint: str) -> None:
    """An issuer elsewhere must not make the client ask a service of the client's machine."""
    issuer = "https://id.example.com"
    found = {"issuer": issuer, "token_endpoint": f"{issuer}/t", "registration_endpoint": endpoint}
    server = metadata.read_metadata(found, issuer)
    assert server.registration == ""
    assert server.unusable == ("the registration_endpoint of the metadata is on this machine",)
    with pytest.raises(OAuthError) as caught:
        metadata.read_metadata({**found, "token_endpoint": endpoint}, issuer)
    assert caught.value.id == "oauth-answer"


def test_the_status_of_the_place(issuer: Issuer) -> None:
    """The error has what the first place answered, and not the 404 of another."""
    redirect = "HTTP 302; redirects are not followed"
    page = "the answer is not a JSON object, but text/html"
    for status, words in ((302, redirect), (200, page)):
        issuer.places = {metadata.WELL_KNOWN: status, metadata.OPENID: 404}
        error = failure(issuer.url)
        assert (error.id, error.text) == (
            "oauth-answer", f"{issuer.url}{metadata.WELL_KNOWN}: {words}",
        )  # fmt: skip


@pytest.mark.parametrize("status", [429, 500, 503])
def test_trouble_of_one_place(issuer: Issuer, status: int) -> None:
    """A place that is busy may have the metadata, whatever the other one says."""
    for one, other in ((status, 404), (404, status)):
        issuer.places = {metadata.WELL_KNOWN: one, metadata.OPENID: other}
        assert failure(issuer.url).id == "oauth-busy"
    issuer.places = {metadata.WELL_KNOWN: status}
    assert metadata.fetch_metadata(issuer.url).issuer == issuer.url


def test_no_metadata(issuer: Issuer) -> None:
    """Each place is asked once; a page there is no metadata, and a redirect is not followed.

    rfc8414-s3/metadata
    """
    for issuer.broken in (404, 302):
        assert failure(issuer.url).id == "oauth-answer"
    assert len(issuer.requests) == 2 * 2


def test_an_issuer_in_trouble(issuer: Issuer) -> None:
    """Trouble of the issuer is not a lack of metadata."""
    issuer.broken = 503
    assert failure(issuer.url).id == "oauth-busy"


def test_a_place_that_a_server_names(issuer: Issuer) -> None:
    """A failed OAUTHBEARER names a URL, which must be the one of its issuer."""
    url = f"{issuer.url}/.well-known/openid-configuration"
    assert metadata.fetch_metadata_at(url).issuer == issuer.url
    issuer.metadata_changes = {"issuer": "https://accounts.example"}
    with pytest.raises(OAuthError) as caught:
        metadata.fetch_metadata_at(url)
    assert caught.value.id == "oauth-forged"


@pytest.mark.parametrize("named", ["https://A.example/b", "https://a.example/b/"])
def test_an_issuer_that_is_almost_named(named: str) -> None:
    """An issuer that differs by a slash or by capitals is an error that says how to name it."""
    with pytest.raises(OAuthError) as caught:
        metadata.read_metadata({"issuer": named}, "https://a.example/b")
    assert caught.value.id == "oauth-forged"
    assert f'issuer = "{named}"' in caught.value.remedy


@pytest.mark.parametrize(
    "named",
    ["https://b.example", None, ["https://a.example/b"], "https://a.example/b" + "/" * 100_000],
)
def test_another_issuer_is_not_advised(named: object) -> None:
    """An issuer that is not the one that was asked is not one to be used instead."""
    with pytest.raises(OAuthError) as caught:
        metadata.read_metadata({"issuer": named}, "https://a.example/b")
    assert caught.value.remedy == ""
