"""The requests that an issuer answers with tokens. RFC 6749, RFC 7009, RFC 8628.

All functions raise OAuthError with a verdict: the issuer rejected the request, its answer cannot be
used, or it could not be asked.
"""

from __future__ import annotations

import base64
import math
import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from restante.oauth.errors import OAuthError
from restante.oauth.issuer_requests import is_success, post_form
from restante.oauth.refusals import refusal
from restante.protocol.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from restante.oauth.issuer_requests import IssuerAnswer

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
LONGEST_TOKEN = 48 * 1024  # octets: in base64 it must fit into a line of SASL
LONGEST_LIFE = 366 * 86400  # seconds
_TOKEN = re.compile(r"[!-~]+")  # RFC 6749 appendix A.12, without spaces: RFC 6750 section 2.1


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """The endpoint at which an issuer gives tokens, and the client that requests them.

    Attributes:
        url: the token endpoint.
        client_id: the id of the client at the issuer.
        client_secret: the secret for it, None for a public client.
        basic: send both in the header Authorization, and not in the form: RFC 6749 section 2.3.1.
            If the issuer rejects the client so, the other way is tried.
    """

    url: str
    client_id: str
    client_secret: Secret | None = None
    basic: bool = False


@dataclass(frozen=True, slots=True)
class TokenSet:
    """The tokens that an issuer gave.

    Attributes:
        access: the access token, as it goes into SASL.
        refresh: the refresh token, None without one. After `refresh` it is the new one if the
            issuer rotates them, else the one that was sent.
        expires_at: when the access token expires, by time.time(), None if the issuer does not say.
        scope: the scope of the token: the requested one, if the issuer does not name another.
        id_token: the name of the user that signed in, as a JWT, None without one.
    """

    access: Secret
    refresh: Secret | None
    expires_at: float | None
    scope: str
    id_token: Secret | None = None


def refresh(
    endpoint: TokenEndpoint, refresh_token: Secret, scope: str = "", ends: float = math.inf
) -> TokenSet:
    """Return new tokens for a refresh token. RFC 6749 section 6.

    The issuer may have rotated the refresh token: make the new one durable before its access token
    is used. `OAuthError.ended` says that the refresh token is of no more use.

    If the user granted less than `scope`, an issuer may reject it. Without a scope, it gives what
    was granted. `ends` is when the time for all of it is over, by time.monotonic().
    """
    form, secrets = {"grant_type": "refresh_token"}, {"refresh_token": refresh_token}
    try:
        asked = {**form, **({"scope": scope} if scope else {})}
        return _request(endpoint, asked, secrets, scope, ends)
    except OAuthError as error:
        if error.error != "invalid_scope" or not scope:
            raise
    return _request(endpoint, form, secrets, scope, ends)


def exchange_code(
    endpoint: TokenEndpoint, code: Secret, redirect_uri: str, verifier: Secret, scope: str = ""
) -> TokenSet:
    """Return the tokens for an authorization code. RFC 6749 section 4.1.3, RFC 7636 section 4.5."""
    form = {"grant_type": "authorization_code", "redirect_uri": redirect_uri}
    return _request(endpoint, form, {"code": code, "code_verifier": verifier}, scope)


def client_credentials(endpoint: TokenEndpoint, scope: str) -> TokenSet:
    """Return a token for the client itself: no person signs in. RFC 6749 section 4.4."""
    return _request(endpoint, {"grant_type": "client_credentials", "scope": scope}, {}, scope)


def exchange_device_code(endpoint: TokenEndpoint, device_code: Secret, scope: str = "") -> TokenSet:
    """Return the tokens of a device code, once its user has signed in. RFC 8628 section 3.4.

    The `error` of its OAuthError is "authorization_pending" or "slow_down" until that time.
    """
    return _request(endpoint, {"grant_type": DEVICE_CODE}, {"device_code": device_code}, scope)


def revoke(endpoint: TokenEndpoint, url: str, token: Secret) -> None:
    """Revoke a refresh token or access token at the issuer's `url` for that. RFC 7009.

    The status says whether it did. Most issuers send nothing with it.
    """
    fields = {"token": token.reveal().decode()}
    status, body, wait = _post(endpoint, url, fields, only_status=True)
    if not is_success(status):
        raise refusal(status, body, _sent_secrets(endpoint, {"token": token}), wait=wait)


def request_device_code(endpoint: TokenEndpoint, url: str, scope: str) -> Mapping[str, Any]:
    """Return the answer of the device endpoint at `url`. RFC 8628 section 3.1.

    A client with a secret authenticates there as it does at the token endpoint.
    """
    status, body, wait = _post(endpoint, url, {"scope": scope})
    if not is_success(status) or body.get("error"):
        raise refusal(status, body, _sent_secrets(endpoint, {}), code=True, wait=wait)
    return body


def _request(
    endpoint: TokenEndpoint,
    form: Mapping[str, str],
    secrets: Mapping[str, Secret],
    scope: str,
    ends: float = math.inf,
) -> TokenSet:
    fields = {**form, **{name: secret.reveal().decode() for name, secret in secrets.items()}}
    status, body, wait = _post(endpoint, endpoint.url, fields, ends=ends)
    old_refresh = secrets.get("refresh_token")
    if not is_success(status) or body.get("error"):
        sent = _sent_secrets(endpoint, secrets)
        raise refusal(status, body, sent, code=old_refresh is None, wait=wait)
    return _read_tokens(body, scope, old_refresh)


def _sent_secrets(endpoint: TokenEndpoint, secrets: Mapping[str, Secret]) -> list[str]:
    """Return the secrets of a request, to be kept out of errors."""
    all_secrets = [*secrets.values(), *filter(None, [endpoint.client_secret])]
    header = [_basic_pair(endpoint)] if endpoint.client_secret else []
    return [*(secret.reveal().decode() for secret in all_secrets), *header]


def _basic_pair(endpoint: TokenEndpoint) -> str:
    """Return the client's id and secret as the header Authorization has them."""
    secret = endpoint.client_secret.reveal().decode() if endpoint.client_secret else ""
    pair = f"{quote_plus(endpoint.client_id)}:{quote_plus(secret)}"
    return base64.b64encode(pair.encode()).decode()


def _post(
    endpoint: TokenEndpoint,
    url: str,
    fields: Mapping[str, str],
    *,
    only_status: bool = False,
    ends: float = math.inf,
) -> IssuerAnswer:
    """Send a form with the client's id, and its secret if it has one.

    An issuer that knows two ways to send a secret may accept only one of them for a client.
    """
    answer = _post_once(endpoint, url, fields, only_status=only_status, ends=ends)
    if endpoint.client_secret is None or answer.body.get("error") != "invalid_client":
        return answer
    other = replace(endpoint, basic=not endpoint.basic)
    second = _post_once(other, url, fields, only_status=only_status, ends=ends)
    is_rejected = second.body.get("error") == "invalid_client"
    is_silent = second.status in (400, 401) and not second.body  # a page of HTML
    return answer if is_rejected or is_silent else second


def _post_once(
    endpoint: TokenEndpoint, url: str, fields: Mapping[str, str], *, only_status: bool, ends: float
) -> IssuerAnswer:
    secret = endpoint.client_secret.reveal().decode() if endpoint.client_secret else ""
    if endpoint.basic and secret:
        header = ("Authorization", f"Basic {_basic_pair(endpoint)}")
        return post_form(url, fields, [header], only_status=only_status, ends=ends)
    client = {"client_id": endpoint.client_id, **({"client_secret": secret} if secret else {})}
    return post_form(url, {**fields, **client}, only_status=only_status, ends=ends)


def _read_tokens(body: Mapping[str, Any], scope: str, old_refresh: Secret | None) -> TokenSet:
    """Return the tokens of an answer. RFC 6749 section 5.1.

    Raises OAuthError: no access token can be used. It has the refresh token, if that one can.
    """
    refresh_token = _find_secret(body, "refresh_token")
    try:
        access = _read_access(body)
    except OAuthError as error:
        error.rotated = refresh_token
        raise
    granted = body.get("scope")
    return TokenSet(
        access=access,
        refresh=refresh_token or old_refresh,
        expires_at=_expiry(body.get("expires_in")),
        scope=granted if isinstance(granted, str) and granted else scope,
        id_token=_find_secret(body, "id_token"),
    )


def _read_access(body: Mapping[str, Any]) -> Secret:
    """Return the access token of an answer. Raises OAuthError: mail cannot use it."""
    kind = body.get("token_type") or "Bearer"
    if not isinstance(kind, str) or kind.strip().lower() != "bearer":
        text = f"the issuer gave a token of the type {kind!r:.40}, and mail requires Bearer"
        raise OAuthError("oauth-answer", text)
    access = _read_secret(body, "access_token")
    if access is None:
        raise OAuthError("oauth-answer", "the issuer's answer has no access token")
    return access


def _find_secret(body: Mapping[str, Any], name: str) -> Secret | None:
    """Return a token beside the access token, None where it has not one, or an invalid one.

    The access token is good without it. The refresh token that was sent may be good, too, and an ID
    token only names the user.
    """
    try:
        return _read_secret(body, name)
    except OAuthError:
        return None


def _read_secret(body: Mapping[str, Any], name: str) -> Secret | None:
    """Return a token of an answer, None without one. Raises OAuthError: it is invalid."""
    text = body.get(name)
    if text is None or text == "":
        return None
    if not isinstance(text, str) or len(text) > LONGEST_TOKEN or not _TOKEN.fullmatch(text):
        raise OAuthError("oauth-answer", f"the {name} of the issuer's answer is invalid")
    return Secret(text.encode())


def _expiry(life: object) -> float | None:
    """Return the time at which `life` seconds are over, None if a token has no such life."""
    seconds = read_seconds(life)
    return time.time() + min(seconds, LONGEST_LIFE) if seconds and seconds > 0 else None


def read_seconds(value: object) -> float | None:
    """Return a number of seconds, which some issuers write as text. None: it is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    except OverflowError:
        return math.inf
    return None if math.isnan(seconds) else seconds
