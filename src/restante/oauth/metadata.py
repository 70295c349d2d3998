"""The metadata of an issuer. RFC 8414, or OpenID Connect Discovery 1.0.

The issuer is compared exactly, redirects are not followed, and all endpoints are https; http is for
this machine alone, which an issuer elsewhere must not name. That is also the profile of
draft-ietf-mailmaint-oauth-public.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from restante.net.addresses import is_address, is_loopback
from restante.oauth.errors import OAuthError
from restante.oauth.issuer_requests import get_json

if TYPE_CHECKING:
    from collections.abc import Mapping

WELL_KNOWN = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
BASIC = "client_secret_basic"  # the default: RFC 8414 section 2
ISS_IN_RESPONSE = "authorization_response_iss_parameter_supported"  # RFC 9207 section 3
_HOST_NAME = re.compile(r"(?:[a-z0-9_-]+\.)*[a-z][a-z0-9_-]*")  # the last label is not a number


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """An issuer and its endpoints, "" for a missing one.

    Attributes:
        iss_in_response: the redirect has the parameter `iss` (RFC 9207), and must have it. False
            if it is not compared.
        scopes: the scopes that it knows, none if it does not say.
        prompts: the values of `prompt` that it knows, none if it does not say.
        basic: a client secret goes into the header Authorization first.
        unusable: why endpoints count as missing that the issuer names.
    """

    issuer: str
    authorization: str = ""
    token: str = ""
    device: str = ""
    registration: str = ""
    revocation: str = ""
    iss_in_response: bool | None = None
    scopes: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    basic: bool = False
    unusable: tuple[str, ...] = ()


def fetch_metadata(issuer: str) -> AuthorizationServer:
    """Return the metadata of an issuer. Raises OAuthError: no usable metadata are there."""
    failures: list[OAuthError] = []
    for url in metadata_urls(issuer):
        try:
            metadata = _fetch(url)
        except OAuthError as error:
            failures.append(error)
            if error.id == "oauth-network":
                break
        else:
            return read_metadata(metadata, issuer)
    raise next((error for error in failures if error.temporary), failures[0])


def fetch_metadata_at(url: str) -> AuthorizationServer:
    """Return the metadata at a URL, as a server names it by RFC 7628's openid-configuration.

    Raises OAuthError: it cannot be used, or its issuer would not have it there.
    """
    metadata = _fetch(url)
    issuer = metadata.get("issuer")
    if not isinstance(issuer, str) or url not in metadata_urls(issuer):
        text = f"{url} is not where its issuer {str(issuer)[:100]} has its metadata"
        raise OAuthError("oauth-forged", text)
    return read_metadata(metadata, issuer)


def metadata_urls(issuer: str) -> list[str]:
    """Return the URLs at which an issuer may have its metadata. RFC 8414 sections 3.1 and 5.

    Raises OAuthError: it is not an issuer.
    """
    if not is_safe_url(issuer) or "?" in issuer or "#" in issuer:
        text = f"{issuer[:100]} is not an issuer: it must be a plain https URL"
        raise OAuthError("oauth-answer", text)
    parts = urlsplit(issuer)
    base, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    urls = [f"{base}{WELL_KNOWN}{path}", f"{base}{OPENID}{path}", f"{base}{path}{OPENID}"]
    return list(dict.fromkeys(urls))


def read_metadata(metadata: Mapping[str, Any], issuer: str) -> AuthorizationServer:
    """Return an authorization server from its metadata. Raises OAuthError: they are unusable.

    An unusable endpoint that a sign-in can do without counts as missing.
    """
    if metadata.get("issuer") != issuer:
        raise _other_issuer_error(issuer, metadata.get("issuer"))
    challenges = metadata.get("code_challenge_methods_supported")
    if isinstance(challenges, list) and "S256" not in challenges:
        raise OAuthError("oauth-answer", f"{issuer} does not support PKCE with S256")
    endpoint = partial(_endpoint, metadata, is_on_this_machine(issuer))
    unusable: list[str] = []

    def optional_endpoint(name: str) -> str:
        try:
            return endpoint(name)
        except OAuthError as error:
            unusable.append(error.text)
            return ""

    methods = _texts(metadata, "token_endpoint_auth_methods_supported") or (BASIC,)
    server = AuthorizationServer(
        issuer=issuer,
        authorization=endpoint("authorization_endpoint"),
        token=endpoint("token_endpoint"),
        device=optional_endpoint("device_authorization_endpoint"),
        registration=optional_endpoint("registration_endpoint"),
        revocation=optional_endpoint("revocation_endpoint"),
        iss_in_response=metadata.get(ISS_IN_RESPONSE) is True or None,
        scopes=_texts(metadata, "scopes_supported"),
        prompts=_texts(metadata, "prompt_values_supported"),
        basic=BASIC in methods,
        unusable=tuple(unusable),
    )
    if not server.token:
        raise OAuthError("oauth-answer", f"the metadata of {issuer} have no token_endpoint")
    return server


def _other_issuer_error(issuer: str, named: object) -> OAuthError:
    """Return the error for metadata that name another issuer. RFC 8414 section 3.3."""
    text = f"the metadata of {issuer} are of the issuer {str(named)[:100]}"
    error = OAuthError("oauth-forged", text)
    if isinstance(named, str) and _spelling(named) == _spelling(issuer):
        error.remedy = f'Name the issuer exactly so: oauth = {{ issuer = "{named}" }}'
    return error


def _spelling(issuer: str) -> str:
    """Return an issuer in the form in which its usual spellings are the same."""
    return issuer.removesuffix("/").lower()


def _fetch(url: str) -> dict[str, Any]:
    """Return the metadata at a URL. Raises OAuthError: there are none."""
    if not is_safe_url(url):
        raise OAuthError("oauth-answer", f"{url[:100]} is not a plain https URL")
    status, body, _ = get_json(url)
    if status != 200:
        busy = status == 429 or status >= 500
        raise OAuthError("oauth-busy" if busy else "oauth-answer", f"{url}: HTTP {status}")
    if "issuer" not in body:
        raise OAuthError("oauth-answer", f"{url}: the answer names no issuer")
    return body


def _endpoint(metadata: Mapping[str, Any], is_issuer_here: bool, name: str) -> str:  # noqa: FBT001  # for partial
    """Return an endpoint, "" for none. Only an issuer that is `here` has it on this machine."""
    url = metadata.get(name, "")
    if not url:
        return ""
    if not isinstance(url, str) or not is_endpoint(url):
        raise OAuthError("oauth-answer", f"the {name} of the metadata is not a plain https URL")
    if is_on_this_machine(url) and not is_issuer_here:
        raise OAuthError("oauth-answer", f"the {name} of the metadata is on this machine")
    return url


def is_on_this_machine(url: str) -> bool:
    """Return whether the host of a URL is a loopback address or name, or no address at all."""
    host = urlsplit(url).hostname or ""
    unspecified = is_address(host) and ipaddress.ip_address(host).is_unspecified
    return unspecified or is_loopback(host) or host.endswith(".localhost")  # RFC 6761 section 6.3


def is_safe_url(url: str) -> bool:
    """Return whether a URL is https, or http on this machine, and has one meaning.

    Browsers read a backslash, %2E, 127.1 or a dot at the end in ways of their own, so a host with
    one of these could be another host for the user than for the checks.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    clear = is_address(host) or _HOST_NAME.fullmatch(host)
    return bool(safe and clear) and "@" not in parts.netloc and url.isascii() and url.isprintable()


def is_endpoint(url: str) -> bool:
    """Return whether a URL may be an endpoint: it has no fragment. RFC 6749 section 3.1."""
    return is_safe_url(url) and "#" not in url


def _texts(metadata: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = metadata.get(name)
    return tuple(v for v in values if isinstance(v, str)) if isinstance(values, list) else ()
