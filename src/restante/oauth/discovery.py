"""From a mail server to its issuer.

The table of providers comes first, by the host of the server. Any other server names its issuer by
a file of its domain (autoconfig or PACC), or in the reply to a token that it rejects.

A server must not name the issuer of another provider: a user that signs in there would send it a
token that opens a mailbox elsewhere. Nor may it name one on the user's own machine, or one whose
codes go to another host than its users.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from restante.net.addresses import is_loopback
from restante.oauth.errors import OAuthError
from restante.oauth.metadata import (
    AuthorizationServer,
    fetch_metadata,
    fetch_metadata_at,
    is_endpoint,
    is_on_this_machine,
    is_safe_url,
)
from restante.oauth.providers import Provider, find_by_host

if TYPE_CHECKING:
    from collections.abc import Mapping

    from restante.client.discovery.autoconfig import OAuthHint
    from restante.oauth.settings import OAuthSettings

MAIL_SCOPE = "urn:ietf:params:oauth:scope:mail"  # draft-ietf-mailmaint-oauth-public
OFFLINE = "offline_access"
WITH_OFFLINE = {"prompt": "consent"}  # else no refresh token: OpenID Connect Core section 11
TABLE = "the table of providers"


@dataclass(frozen=True, slots=True)
class RejectedToken:
    """A server's hints at its issuer, when it rejects a token. RFC 7628 section 3.2.2."""

    openid_configuration: str = ""
    scope: str = ""


class ServerSources(Protocol):
    """The sources at a mail server and its domain that name an issuer."""

    def domain_file(self) -> OAuthHint | None:
        """Return the issuer that a file of the mail domain names, None for none."""

    def rejected_token(self) -> RejectedToken | None:
        """Return the hints with which the server rejects a token, None for none."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer for a mail server.

    Attributes:
        server: its endpoints.
        scope: what to ask for.
        name: the name of its row in the table of providers, "" for another issuer.
        provider: that row.
        client_id: an id for every client, which the domain's autoconfig file names, or "".
        source: what named it, for people.
        parameters: what the authorization request has besides.
    """

    server: AuthorizationServer
    scope: str
    name: str = ""
    provider: Provider | None = None
    client_id: str = ""
    source: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def require_provider(settings: OAuthSettings, providers: Mapping[str, Provider]) -> None:
    """Raise ValueError if the settings name an unknown provider."""
    if settings.provider and settings.provider not in providers:
        names = ", ".join(name for name, row in providers.items() if row.flows)
        raise ValueError(f'oauth: unknown provider "{settings.provider}"; known are {names}')


def find_issuer(
    host: str,
    settings: OAuthSettings,
    providers: Mapping[str, Provider],
    sources: ServerSources,
) -> Issuer:
    """Return the issuer of a mail server. Raises OAuthError: none is known, or none that may be.

    The settings name no provider, or a known one.
    """
    if settings.issuer:
        return _issuer_from_metadata(fetch_metadata(settings.issuer), settings, "accounts.toml")
    name = settings.provider or find_by_host(providers, host)
    if name:
        return _issuer_from_table(name, providers[name], settings)
    issuer = _ask_server(host, settings, sources)
    _check_server(issuer, host, providers)
    _check_endpoints(issuer.server)
    return issuer


def _issuer_from_table(name: str, row: Provider, settings: OAuthSettings) -> Issuer:
    scopes = [scope for protocol in settings.protocols for scope in row.scopes.get(protocol, ())]
    scope = " ".join(dict.fromkeys(scopes))
    if row.issuer and not row.token:
        issuer = _issuer_from_metadata(fetch_metadata(row.issuer), settings, TABLE, scope)
        parameters = {**issuer.parameters, **row.parameters}
        return replace(issuer, name=name, provider=row, parameters=parameters)
    if not row.flows:
        text = f"{row.name} offers no sign-in to mail programs. {row.app_password}".strip()
        raise OAuthError("oauth-none", text)
    tenant = settings.tenant or row.tenant
    server = AuthorizationServer(
        issuer=row.issuer.replace("{tenant}", tenant),
        authorization=row.authorization.replace("{tenant}", tenant),
        token=row.token.replace("{tenant}", tenant),
        device=row.device.replace("{tenant}", tenant),
        revocation=row.revocation,
        iss_in_response=row.issuer_in_response,
    )
    if settings.flow == "client-credentials":
        scope = row.client_credentials_scope
    return Issuer(server, settings.scope or scope, name, row, "", TABLE, row.parameters)


def _issuer_from_metadata(
    server: AuthorizationServer, settings: OAuthSettings, source: str, scope: str = ""
) -> Issuer:
    scope = settings.scope or scope or _usual_scope(server)
    has_consent = not server.prompts or "consent" in server.prompts
    parameters = WITH_OFFLINE if OFFLINE in scope.split() and has_consent else {}
    return Issuer(server, scope, source=source, parameters=parameters)


def _usual_scope(server: AuthorizationServer) -> str:
    """Return what to ask an issuer for that names no scope for mail.

    An issuer that does not have the scope of the profile is not only for mail. There, servers find
    the account by the claim `email`.
    """
    if not server.scopes or MAIL_SCOPE in server.scopes:
        usual = [MAIL_SCOPE, OFFLINE]
    else:
        usual = ["openid", "email", OFFLINE]
    return " ".join(scope for scope in usual if not server.scopes or scope in server.scopes)


def _ask_server(host: str, settings: OAuthSettings, sources: ServerSources) -> Issuer:
    """Ask the domain, and then the server itself."""
    hint = sources.domain_file()
    if hint is not None:
        _check_place(host, hint.issuer, hint.authorization, hint.token)
        return _issuer_from_hint(hint, settings)
    rejected = sources.rejected_token()
    if rejected is not None and rejected.openid_configuration:
        _check_place(host, rejected.openid_configuration)
        server = fetch_metadata_at(rejected.openid_configuration)
        return _issuer_from_metadata(server, settings, "the mail server", rejected.scope)
    text = "neither the table of providers, nor the domain, nor the server names an issuer"
    raise OAuthError("oauth-none", text)


def _check_place(host: str, *urls: str) -> None:
    """Raise OAuthError: a mail server elsewhere names an issuer on this machine.

    Else any server could make the client send requests to a service that listens only here.
    """
    for url in urls:
        if is_safe_url(url) and is_on_this_machine(url) and not is_loopback(host):
            text = f"{host} names {url[:100]}, which is on this machine"
            raise OAuthError("oauth-forged", text)


def _issuer_from_hint(hint: OAuthHint, settings: OAuthSettings) -> Issuer:
    """Return the issuer by its metadata, or else by the endpoints of the file itself.

    Files of today often have a host name as the issuer, which has no metadata.
    """
    if hint.issuer.startswith(("https://", "http://")):
        server = fetch_metadata(hint.issuer)
    elif is_endpoint(hint.authorization) and is_endpoint(hint.token):
        server = AuthorizationServer(
            hint.issuer, hint.authorization, hint.token, iss_in_response=False
        )
    else:
        raise OAuthError(
            "oauth-answer", "the mail domain names endpoints that are not plain https URLs"
        )
    issuer = _issuer_from_metadata(server, settings, "the mail domain", hint.scope)
    return replace(issuer, client_id=hint.client_id)


def _check_server(issuer: Issuer, host: str, providers: Mapping[str, Provider]) -> None:
    """Raise OAuthError: the issuer is that of a provider to which the mail server does not belong.

    Else any server could name Google's issuer, and get a token for the user's mail at Google.
    """
    server = issuer.server
    urls = (server.issuer, server.authorization, server.token, server.device)
    named = set(map(_host_of, urls))
    for row in providers.values():
        if any(map(row.has_issuer, named)) and not row.has_host(host):
            text = f"{host} names the issuer of {row.name}, but is not a server of {row.name}"
            raise OAuthError("oauth-forged", text)


def _check_endpoints(server: AuthorizationServer) -> None:
    """Raise OAuthError: users sign in at another host than the one that gets the codes.

    Else any server could name the sign-in page of a stranger, and exchange the user's codes there:
    the mix-up attack of RFC 9700 section 4.4.
    """
    for url in filter(None, (server.authorization, server.device)):
        if _origin_of(url) != _origin_of(server.token):
            text = (
                f"{server.issuer[:100]} lets users sign in at {url[:100]}, and gets the codes at "
                f"{server.token[:100]}; if this is right, name the issuer in accounts.toml, or all "
                "its endpoints in providers.toml"
            )
            raise OAuthError("oauth-forged", text)


def _origin_of(url: str) -> tuple[str, str, int]:
    """Return the scheme, the host and the port of an endpoint. RFC 6454 section 4."""
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, parts.hostname or "", parts.port or default


def _host_of(url: str) -> str:
    """Return the host of a URL, "" for any other text, which the issuer of a file may be."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
