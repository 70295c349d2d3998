"""A sign-in: what a flow returns, and what the store of tokens keeps for an account."""

from __future__ import annotations

from dataclasses import dataclass

from restante.oauth.flows import Flow  # noqa: TC001  # for msgspec
from restante.oauth.token_endpoint import TokenEndpoint, TokenSet  # noqa: TC001  # for msgspec


@dataclass(frozen=True, slots=True)
class SignIn:
    """All that is needed to get access tokens for an account again and again.

    Attributes:
        provider: the name of the row in the table of providers, "" for another issuer.
        issuer: the issuer's identifier, an https URL, "" where it is not known.
        endpoint: the token endpoint and the client. A secret in it is stored only where
            `client_secret_command` is "": the issuer gave it to a client that it registered.
        tokens: the tokens of the last answer.
        flow: how the user signed in. With "client-credentials" there is not a refresh token: a new
            access token is asked for by `token_endpoint.client_credentials`.
        scope: what to ask for in a refresh, "" for what was granted.
        user: the name of the user that signed in, as the issuer says it, "" where it does not.
        revocation_url: where the issuer forgets tokens (RFC 7009), "" where it cannot.
        client_secret_command: prints the client's secret, "" where none is needed.
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
