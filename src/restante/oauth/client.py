"""A client of an issuer: all that a sign-in for an account needs before it begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from restante.oauth.metadata import AuthorizationServer
    from restante.oauth.sign_in import Flow
    from restante.oauth.token_endpoint import TokenEndpoint


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
        client_secret_command: prints the client's secret, "" where none is needed.
        origin: whose client it is, for people: "your own", or "registered by Restante".
    """

    provider: str
    server: AuthorizationServer
    endpoint: TokenEndpoint
    scope: str
    flows: tuple[Flow, ...]
    redirect: str = "http://127.0.0.1"
    parameters: Mapping[str, str] = field(default_factory=dict)
    client_secret_command: str = ""
    origin: str = "your own"
