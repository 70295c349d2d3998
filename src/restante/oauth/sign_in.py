"""A sign-in: what a flow returns, and what the store of tokens keeps for an account."""

from __future__ import annotations

from dataclasses import dataclass

from restante.oauth.flows import Flow  # noqa: TC001  # for msgspec
from restante.oauth.token_endpoint import TokenEndpoint, TokenSet  # noqa: TC001  # for msgspec


@dataclass(frozen=True, slots=True)
class SignIn:
    """The facts that a client requires to get access tokens of an account again and again.

    Attributes:
        provider: the name of the row in the table of providers, "" for another issuer.
        issuer: the issuer's identifier, an https URL, "" if it is not known.
        endpoint: the token endpoint and the client. A secret in it is stored only if
            `client_secret_command` is "": the issuer gave it to a client that it registered.
        tokens: the tokens of the last answer.
        flow: how the user signed in. With "client-credentials" there is no refresh token: a new
            access token is requested by `token_endpoint.client_credentials`.
        scope: the scope of a refresh, "" for the one that was granted.
        user: the user's name at the issuer, "" if it gave none.
        revocation_url: the URL at which the issuer revokes tokens (RFC 7009), "" if it cannot.
        client_secret_command: prints the client's secret, "" if none is required.
        signed_in_at: when the user signed in, by time.time().
    """

    provider: str
    issuer: str
    endpoint: TokenEndpoint
    tokens: TokenSet
    flow: Flow
    scope: str = ""
    user: str = ""
    revocation_url: str = ""
    client_secret_command: str = ""
    signed_in_at: float = 0.0
