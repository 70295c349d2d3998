"""Requests for tokens, against a local issuer."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from restante.net.http import HttpAnswer, HttpClient
from restante.oauth import issuer_requests, token_endpoint
from restante.oauth.errors import OAuthError
from restante.oauth.token_endpoint import TokenEndpoint, TokenSet
from restante.protocol.secret import Secret
from support.issuer import SCOPE, Issuer, Refused, aadsts, final_url

VERIFIER = Secret(b"verifier-" * 6)


def endpoint(issuer: Issuer, **fields: Any) -> TokenEndpoint:
    return TokenEndpoint(f"{issuer.url}/token", "me", **fields)


def signed_in(issuer: Issuer) -> Secret:
    token = issuer.give(SCOPE)["refresh_token"]
    return Secret(token.encode())


def failure(issuer: Issuer, token: Secret | None = None) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        token_endpoint.refresh(endpoint(issuer), token or signed_in(issuer))
    return caught.value


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
def test_redirects(issuer: Issuer, status: int) -> None:
    """A redirect is an error that names the address which answered it, and nothing is sent on."""
    issuer.places = {"/token": status}
    error = failure(issuer)
    assert error.id == "oauth-answer"
    assert error.text.startswith(f"{issuer.url}/token: HTTP {status}; redirects")
    assert issuer.count("/token") == 1


@pytest.mark.parametrize(
    ("status", "said", "seconds"),
    [
        (429, "120", 120), (503, "120", 120), (400, "120", 0), (429, "0", 0), (429, "-5", 0),
        (429, "soon", 0), (429, "\xb2", 0), (429, "Thu, 01 Jan 1970 00:00:00 GMT", 0),
        (429, "Thu, 01 Jan 1970 00:02:00 GMT", 60), (429, "Thu, 99 Jan 1970", 0),
        (429, "9" * 500, 999_999_999),
    ],
)  # fmt: skip
def test_retry_after(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, status: int, said: str, seconds: float
) -> None:
    """A busy issuer says for how long, in seconds or by a date."""
    monkeypatch.setattr("restante.oauth.issuer_requests.time.time", lambda: 60.0)
    issuer.retry_after = said
    issuer.scripted.append(Refused("temporarily_unavailable", status))
    error = failure(issuer)
    assert error.wait == seconds
    assert (f"; it asks to wait {seconds} s" in error.text) == bool(seconds)


def test_a_refresh_rotates(issuer: Issuer) -> None:
    """The answer has a fresh access token and the new refresh token; the old one is spent.

    rfc6749-s6/rotation
    """
    old = signed_in(issuer)
    found = token_endpoint.refresh(endpoint(issuer), old, SCOPE)
    assert found.refresh is not None
    assert found.refresh != old
    assert found.scope == SCOPE
    assert found.expires_at == pytest.approx(time.time() + 3600, abs=60)
    assert failure(issuer, old).ended


def test_a_refresh_of_less_than_was_asked_for(issuer: Issuer) -> None:
    """If the user granted less, a refresh must not ask for all. RFC 6749 section 6."""
    issuer.scripted.append(Refused("invalid_scope", error_description="not originally granted"))
    found = token_endpoint.refresh(endpoint(issuer), signed_in(issuer), f"{SCOPE} email")
    assert found.scope == SCOPE
    (_, first), (_, second) = issuer.requests
    assert (first.get("scope"), second.get("scope")) == (f"{SCOPE} email", None)


def test_a_scope_that_was_not_asked_for(issuer: Issuer) -> None:
    """If no scope was sent, a refusal of the scope is final."""
    issuer.scripted.append(Refused("invalid_scope"))
    assert (failure(issuer).id, issuer.count("/token")) == ("oauth-scope", 1)


def test_an_error_with_http_200(issuer: Issuer) -> None:
    """Some issuers answer 200 to everything: the field `error` counts."""
    issuer.scripted.append(Refused("invalid_grant", 200))
    assert failure(issuer).ended
    issuer.scripted_device.append(Refused("invalid_client", 200))
    with pytest.raises(OAuthError) as caught:
        token_endpoint.request_device_code(endpoint(issuer), f"{issuer.url}/device", SCOPE)
    assert caught.value.id == "oauth-client"


def test_a_refresh_token_that_stays(issuer: Issuer) -> None:
    """Where the issuer sends no new refresh token, the old one is kept. rfc6749-s6/rotation"""
    issuer.rotates = False
    old = signed_in(issuer)
    assert token_endpoint.refresh(endpoint(issuer), old).refresh == old


def authorization_code(issuer: Issuer) -> Secret:
    """Return the code that a browser brings after a sign-in."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.reveal()).digest())
    query = f"client_id=me&redirect_uri=http://127.0.0.1/&scope={SCOPE}&state=1"
    query += f"&code_challenge_method=S256&code_challenge={challenge.decode().rstrip('=')}"
    place = final_url(f"{issuer.url}/authorize?{query}")
    return Secret(place.partition("code=")[2].partition("&")[0].encode())


def test_a_code_is_exchanged(issuer: Issuer) -> None:
    """The code of a redirect gives tokens, with the verifier of PKCE, once. rfc7636-s4/s256"""
    arguments = (endpoint(issuer), authorization_code(issuer), "http://127.0.0.1/", VERIFIER)
    assert token_endpoint.exchange_code(*arguments).refresh is not None
    with pytest.raises(OAuthError) as caught:
        token_endpoint.exchange_code(*arguments)
    assert caught.value.id == "oauth-code"


@pytest.mark.parametrize("basic", [False, True])
@pytest.mark.parametrize("accepted", [False, True])
def test_client_credentials(issuer: Issuer, basic: bool, accepted: bool) -> None:
    """A client with a secret gets a token for itself, by the method that the issuer accepts.

    An issuer with several methods accepts one for each client, and does not say which.
    """
    issuer.client_secrets["me"] = "s3cret-of-me"
    issuer.basic = accepted
    mine = endpoint(issuer, client_secret=Secret(b"s3cret-of-me"), basic=basic)
    assert token_endpoint.client_credentials(mine, "all").refresh is None
    forms = [form for path, form in issuer.requests if path == "/token"]
    assert ["client_secret" not in form for form in forms] == list(dict.fromkeys([basic, accepted]))


def test_a_wrong_secret(issuer: Issuer) -> None:
    """If the issuer accepts a secret by neither method, its first words count."""
    issuer.scripted += [Refused("invalid_client", error_description=text) for text in ("a", "b")]
    mine = endpoint(issuer, client_secret=Secret(b"s3cret-of-me"))
    with pytest.raises(OAuthError) as caught:
        token_endpoint.client_credentials(mine, "all")
    assert (caught.value.id, caught.value.text) == ("oauth-client", "a")
    assert not issuer.scripted


@pytest.mark.parametrize("status", [400, 401])
def test_a_wrong_secret_and_an_odd_answer(issuer: Issuer, status: int) -> None:
    """If the answer to the second method has no words, those of the first one count."""
    odd = Refused("", status)
    odd.body = []  # type: ignore[assignment]
    issuer.scripted += [Refused("invalid_client", error_description="a"), odd]
    mine = endpoint(issuer, client_secret=Secret(b"s3cret-of-me"))
    with pytest.raises(OAuthError) as caught:
        token_endpoint.client_credentials(mine, "all")
    assert (caught.value.id, caught.value.text) == ("oauth-client", "a")
    assert not issuer.scripted


def test_the_other_method_and_a_refusal(issuer: Issuer) -> None:
    """If the issuer accepts the second method, what it says of the refresh token counts."""
    issuer.scripted += [Refused("invalid_client"), Refused("invalid_grant")]
    mine = endpoint(issuer, client_secret=Secret(b"s3cret-of-me"))
    with pytest.raises(OAuthError) as caught:
        token_endpoint.refresh(mine, signed_in(issuer))
    assert caught.value.ended


def test_a_public_client_has_one_method(issuer: Issuer) -> None:
    """Without a secret there is no other way to send it."""
    issuer.scripted.append(Refused("invalid_client"))
    assert (failure(issuer).id, issuer.count("/token")) == ("oauth-client", 1)


def test_revocation(issuer: Issuer) -> None:
    """The issuer is asked to forget a token. rfc7009-s2/revocation"""
    token_endpoint.revoke(endpoint(issuer), f"{issuer.url}/revoke", Secret(b"token-1"))
    assert issuer.revoked == ["token-1"]


@pytest.mark.parametrize(("status", "body"), [(200, b""), (200, b"<p>Done.</p>"), (204, b"")])
def test_a_revocation_without_words(status: int, body: bytes, issuer: Issuer) -> None:
    """The status alone says that a token is revoked. rfc7009-s2/revocation"""
    issuer.revocation = (status, body)
    token_endpoint.revoke(endpoint(issuer), f"{issuer.url}/revoke", Secret(b"token-1"))
    assert issuer.revoked == ["token-1"]


@pytest.mark.parametrize("status", [400, 302, 503])
def test_a_failed_revocation(status: int, issuer: Issuer) -> None:
    """Any other status is an error. rfc7009-s2/revocation"""
    issuer.revocation = (status, b"")
    with pytest.raises(OAuthError):
        token_endpoint.revoke(endpoint(issuer), f"{issuer.url}/revoke", Secret(b"token-1"))


def test_an_issuer_in_trouble(issuer: Issuer) -> None:
    """HTTP 500 is temporary, and ends no sign-in."""
    issuer.broken = 500
    error = failure(issuer)
    assert (error.id, error.ended, error.temporary) == ("oauth-busy", False, True)


def test_an_issuer_that_hangs(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request ends when its time is over; the sign-in is kept."""
    monkeypatch.setattr(issuer_requests, "SECONDS", 0.2)
    issuer.hangs = True
    error = failure(issuer)
    assert (error.id, error.ended, error.temporary) == ("oauth-network", False, True)


def test_an_issuer_that_is_away(issuer: Issuer) -> None:
    """A refused connection is trouble of the network."""
    gone = TokenEndpoint("http://127.0.0.1:1/token", "me")
    with pytest.raises(OAuthError) as caught:
        token_endpoint.refresh(gone, Secret(b"token"))
    assert caught.value.id == "oauth-network"


def test_only_https() -> None:
    """A token goes to another machine by https only."""
    plain = TokenEndpoint("http://issuer.example.com/token", "me")
    with pytest.raises(OAuthError, match="https"):
        token_endpoint.refresh(plain, Secret(b"token"))


def test_a_redirect_is_not_followed(issuer: Issuer) -> None:
    """A token endpoint that redirects gets the token no second time."""
    away = TokenEndpoint(f"{issuer.url}/token", "me")
    issuer.broken = 307
    with pytest.raises(OAuthError) as caught:
        token_endpoint.refresh(away, Secret(b"token"))
    assert caught.value.id == "oauth-answer"
    assert len(issuer.requests) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"access_token": None},
        {"access_token": 5},
        {"access_token": "two words"},
        {"access_token": "x" * 60_000},
        {"token_type": "DPoP"},
        {"token_type": ["Bearer"]},
    ],
)
def test_unusable_answers(issuer: Issuer, changes: dict[str, Any]) -> None:
    """An answer without a usable token is an error with a verdict, and shows no token.

    rfc6749-s5/token-type
    """
    token = signed_in(issuer)
    issuer.token_changes = changes
    error = failure(issuer, token)
    assert error.id == "oauth-answer"
    assert "xxxx" not in str(error)


@pytest.mark.parametrize("kind", ["bearer ", "BEARER", "", None])
def test_an_odd_type_of_token(issuer: Issuer, kind: object) -> None:
    """A type that is missing or oddly written is Bearer. rfc6749-s5/token-type"""
    issuer.token_changes = {"token_type": kind}
    assert token_endpoint.refresh(endpoint(issuer), signed_in(issuer)).access


@pytest.mark.parametrize("id_token", ["\u00fc", "a b", ["a"], 5])
def test_an_unusable_id_token(issuer: Issuer, id_token: object) -> None:
    """The ID token only names the user: without it, the other tokens are kept."""
    issuer.token_changes = {"id_token": id_token}
    found = token_endpoint.refresh(endpoint(issuer), signed_in(issuer))
    assert (found.id_token, found.refresh is not None) == (None, True)


@pytest.mark.parametrize("refresh_token", ["line\nend", "x" * 60_000, ["a"], 5])
def test_an_unusable_refresh_token(issuer: Issuer, refresh_token: object) -> None:
    """The access token beside it is good, and the refresh token that was sent may still be."""
    sent = signed_in(issuer)
    issuer.token_changes = {"refresh_token": refresh_token}
    found = token_endpoint.refresh(endpoint(issuer), sent)
    assert (found.refresh, bool(found.access.reveal())) == (sent, True)
    arguments = (endpoint(issuer), authorization_code(issuer), "http://127.0.0.1/", VERIFIER)
    assert token_endpoint.exchange_code(*arguments).refresh is None


def test_a_giant_answer(issuer: Issuer) -> None:
    """An answer of over 1 MiB came by the network: it is the issuer's fault."""
    issuer.token_changes = {"scope": "x" * 2_000_000}
    assert failure(issuer).id == "oauth-answer"


def test_half_a_character(issuer: Issuer) -> None:
    """A token that no text can have is not changed into another one."""
    issuer.token_changes = {"access_token": "access-\ud800"}
    assert failure(issuer).id == "oauth-answer"


def test_another_status_of_success(issuer: Issuer) -> None:
    """Tokens that come with 201 are kept: they are the only ones that are of use now."""
    issuer.success = 201
    assert token_endpoint.refresh(endpoint(issuer), signed_in(issuer)).refresh is not None


@pytest.mark.parametrize(
    ("said", "kept"), [("mail \ud800", "mail \ufffd"), (["mail"], SCOPE), ("", SCOPE)]
)
def test_an_odd_scope(issuer: Issuer, said: object, kept: str) -> None:
    """Whatever the scope of an answer is, the tokens can be stored: the old ones are of no use."""
    issuer.token_changes = {"scope": said, "error": None}
    found = token_endpoint.refresh(endpoint(issuer), signed_in(issuer), SCOPE)
    assert (found.scope, found.refresh is not None) == (kept, True)
    assert found.scope.encode()


def test_an_error_of_nothing(issuer: Issuer) -> None:
    """An answer with tokens and an empty `error` is one with tokens."""
    issuer.token_changes = {"error": ""}
    assert token_endpoint.refresh(endpoint(issuer), signed_in(issuer)).refresh is not None


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("60", 60),
        (-5, None),
        (0, None),
        (1e400, 366 * 86400),
        (10**400, 366 * 86400),
        ("soon", None),
        ("nan", None),
        ([], None),
        (True, None),
    ],
)
def test_the_life_of_a_token(issuer: Issuer, said: object, seconds: int | None) -> None:
    """Any `expires_in` gives a time within bounds, or none. rfc6749-s5/token-type"""
    issuer.token_changes = {"expires_in": said}
    found = token_endpoint.refresh(endpoint(issuer), signed_in(issuer)).expires_at
    expected = None if seconds is None else pytest.approx(time.time() + seconds, abs=60)
    assert found == expected


def test_no_secret_is_shown(issuer: Issuer) -> None:
    """An issuer that repeats what it was sent does not bring it into an error."""
    token = signed_in(issuer)
    text = token.reveal().decode()
    issuer.scripted.append(Refused("invalid_grant", error_description=f"{text} is bad"))
    error = failure(issuer, token)
    assert text not in str(error)
    assert error.text == "*** is bad"
    shown = TokenSet(token, token, None, "all")
    assert text not in repr(shown)


def test_no_secret_in_codes(issuer: Issuer) -> None:
    """Nor does an issuer that repeats it as an error code or as a correlation id."""
    token = signed_in(issuer)
    text = token.reveal().decode()
    issuer.scripted.append(Refused(text, correlation_id=text))
    error = failure(issuer, token)
    assert (error.error, error.code, error.correlation) == ("***", "***", "***")
    assert text not in str(error)


def _in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "form", [quote, quote_plus, partial(quote, safe=""), str.upper, _in_base64]
)
def test_no_encoded_secret_is_shown(issuer: Issuer, form: Callable[[str], str]) -> None:
    """Nor does an issuer that repeats the octets of the request, or encodes them."""
    text = "1//0ab cd+secret=="
    said = f"bad request: refresh_token={form(text)}&x=1"
    issuer.scripted.append(Refused("invalid_request", error_description=said))
    assert failure(issuer, Secret(text.encode())).text == "bad request: refresh_token=***&x=1"


@pytest.mark.parametrize("basic", [False, True])
def test_no_header_is_shown(issuer: Issuer, basic: bool) -> None:
    """A client's secret in the header Authorization is a secret there, in either attempt."""
    pair = base64.b64encode(b"me:s3%2Bcr%2Fet%3D").decode()
    issuer.scripted += [Refused("invalid_client", error_description=f"Basic {pair} is bad")] * 2
    mine = endpoint(issuer, client_secret=Secret(b"s3+cr/et="), basic=basic)
    with pytest.raises(OAuthError) as caught:
        token_endpoint.client_credentials(mine, "all")
    assert caught.value.text == "Basic *** is bad"


def test_the_words_of_the_issuer(issuer: Issuer) -> None:
    """The error has the first line of what the issuer said, and the correlation id."""
    issuer.scripted.append(aadsts(50173, words="The grant was revoked."))
    error = failure(issuer)
    assert error.text.startswith("AADSTS50173: The grant was revoked.")
    assert error.text.endswith("(correlation id c0-ffee)")
    assert (error.id, error.correlation, error.error) == (
        "oauth-revoked", "c0-ffee", "invalid_grant",
    )  # fmt: skip


def test_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """https_proxy is used, but not for this machine, nor for the hosts of no_proxy."""
    used: list[str] = []

    def send(client: HttpClient, *_: object) -> HttpAnswer:
        used.append(client.proxy)
        return HttpAnswer(200, {}, b"{}")

    monkeypatch.setattr(HttpClient, "send", send)
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    monkeypatch.setenv("no_proxy", "example.org")
    for host in ("id.example.com", "127.0.0.1", "localhost", "id.example.org"):
        issuer_requests.get_json(f"https://{host}/")
    monkeypatch.setenv("https_proxy", "proxy.example.com:3128")  # as curl allows it
    issuer_requests.get_json("https://id.example.com/")
    assert used == ["http://proxy.example.com:3128", "", "", "", "http://proxy.example.com:3128"]
