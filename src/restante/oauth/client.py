"""A client of an issuer: all that a sign-in for an account needs before it begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.oauth import registration
from restante.oauth.errors import OAuthError
from restante.oauth.token_endpoint import TokenEndpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from restante.oauth.discovery import Issuer
    from restante.oauth.flows import Flow
    from restante.oauth.metadata import AuthorizationServer
    from restante.oauth.registration import Registrations
    from restante.oauth.settings import OAuthSettings
    from restante.protocol.secret import Secret


REGISTERED = "registered by Restante"


@dataclass(frozen=True, slots=True)
class SignInClient:
    """A client that the issuer knows.

    Attributes:
        provider: the name of its row in the table of providers, "" for another issuer.
        server: the issuer and its endpoints.
        endpoint: the token endpoint, with the client's id and secret.
        scope: what is asked for, words with spaces between them.
        flows: the flows that are possible here, best first.
        redirect: what the redirect URI begins with: a port and "/" follow.
        parameters: what the authorization request has besides.
        client_secret_command: prints the client's secret, "" if the client has none.
        origin: whose client it is, for people.
    """

    provider: str
    server: AuthorizationServer
    endpoint: TokenEndpoint
    scope: str
    flows: tuple[Flow, ...]
    redirect: str = "http://127.0.0.1"
    parameters: Mapping[str, str] = field(default_factory=dict)
    client_secret_command: str = ""
    origin: str = ""


class NoClientError(OAuthError):
    """No client is known at the issuer, and it registers none by itself.

    Attributes:
        name: the name of the provider's row in the table, "" for another issuer.
        provider: that row, with the steps of a registration.
    """

    def __init__(self, text: str, issuer: Issuer) -> None:
        super().__init__("oauth-no-client", text)
        self.name = issuer.name
        self.provider = issuer.provider


def choose_client(
    issuer: Issuer,
    settings: OAuthSettings,
    registrations: Registrations,
    run_command: Callable[[str], Secret],
    login_hint: str = "",
) -> SignInClient:
    """Return the client for a sign-in: the user's own, or one that the issuer registers.

    `run_command` returns the secret that a command prints. `login_hint` is the user that is
    expected to sign in. Raises OAuthError, and NoClientError for none.
    """
    row = issuer.provider
    own = settings.client_id or (row.client_id if row else "")
    command = settings.client_secret_command or (row.client_secret_command if row else "")
    if own:
        client_id, origin = own, "your own"
    elif issuer.client_id:
        client_id, origin, command = issuer.client_id, "of the mail domain", ""
    else:
        client_id, origin, command = _registered_id(issuer, registrations), REGISTERED, ""
    _check_secret(settings, issuer, command)
    secret = run_command(command) if command else None
    registered = origin == REGISTERED
    server = issuer.server
    return SignInClient(
        provider=issuer.name,
        server=server,
        endpoint=TokenEndpoint(server.token, client_id, secret, basic=server.basic),
        scope=issuer.scope,
        flows=_flows(issuer, registered=registered),
        redirect=row.redirect if row else "http://127.0.0.1",
        parameters={**issuer.parameters, **({"login_hint": login_hint} if login_hint else {})},
        client_secret_command=command,
        origin=origin,
    )


def _registered_id(issuer: Issuer, registrations: Registrations) -> str:
    """Return the id that the issuer gave, now or earlier. Raises NoClientError."""
    server = issuer.server
    if not server.registration:
        name = issuer.provider.name if issuer.provider else server.issuer
        text = f"{name} lets only registered programs sign users in, and client_id is not set"
        raise NoClientError(text, issuer)
    if client_id := registrations.find(server.issuer):
        return client_id
    try:
        client_id = registration.register(server, issuer.scope)
    except OAuthError as error:
        if error.temporary:
            raise
        text = f"{server.issuer} did not register a client: {error.text}"
        raise NoClientError(text, issuer) from None
    registrations.keep(server.issuer, client_id)
    return client_id


def _check_secret(settings: OAuthSettings, issuer: Issuer, command: str) -> None:
    """Raise NoClientError: the provider requires a secret that is not there."""
    row = issuer.provider
    flow = settings.flow or (row.flows[0] if row and row.flows else "loopback")
    required = flow == "client-credentials" or (row is not None and flow in row.secret_for)
    if required and not command:
        name = row.name if row else "client-credentials"
        text = f"{name} requires the secret of the client, and client_secret_command is not set"
        missing = NoClientError(text, issuer)
        missing.remedy = (
            "Set client_secret_command, beside client_id, to a command that prints the secret."
        )
        raise missing


def _flows(issuer: Issuer, *, registered: bool) -> tuple[Flow, ...]:
    """Return the flows that an issuer has for a client, best first."""
    if issuer.provider is not None and issuer.provider.flows:
        return issuer.provider.flows
    flows: list[Flow] = ["loopback"] if issuer.server.authorization else []
    flows += ["device"] if issuer.server.device and not registered else []
    flows += ["paste"] if issuer.server.authorization else []
    return (*flows, "client-credentials")
