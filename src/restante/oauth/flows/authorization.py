"""The authorization request and its answer: code with PKCE. RFC 6749 section 4.1, RFC 7636.

Always: a `state` of 256 bits, S256, and the issuer in the answer (RFC 9207) if it has one. With the
scope `openid`, also a `nonce`. They are compared in constant time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from restante.oauth import token_endpoint
from restante.oauth.errors import OAuthError
from restante.oauth.refusals import refusal
from restante.oauth.token_claims import read_claims
from restante.protocol.secret import Secret

if TYPE_CHECKING:
    from restante.oauth.client import SignInClient
    from restante.oauth.token_endpoint import TokenSet

LONGEST_ANSWER = 64 * 1024  # characters


def _random() -> Secret:
    return Secret(secrets.token_urlsafe(32).encode())


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One request: its answer is good once.

    Attributes:
        client: the client, and the issuer that is asked.
        redirect_uri: the URI to which the browser brings the answer.
    """

    client: SignInClient
    redirect_uri: str
    state: Secret = field(default_factory=_random)
    verifier: Secret = field(default_factory=_random)
    nonce: Secret = field(default_factory=_random)

    @property
    def _nonce(self) -> str:
        """The nonce that an ID token must have, "" if none is due. Some issuers require one."""
        return self.nonce.reveal().decode() if "openid" in self.client.scope.split() else ""

    @property
    def url(self) -> str:
        """The URL that a browser opens."""
        digest = hashlib.sha256(self.verifier.reveal()).digest()
        query = {
            **self.client.parameters,
            "response_type": "code",
            "client_id": self.client.endpoint.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.client.scope,
            "state": self.state.reveal().decode(),
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "nonce": self._nonce,
        }
        address = self.client.server.authorization
        mark = "&" if urlsplit(address).query else "?"
        return f"{address}{mark}{urlencode({k: v for k, v in query.items() if v})}"

    def accept(self, answer: str) -> TokenSet:
        """Return the tokens for an answer: the redirect URI as the browser opened it."""
        code = self._read_code(answer)
        endpoint, scope = self.client.endpoint, self.client.scope
        tokens = token_endpoint.exchange_code(
            endpoint, code, self.redirect_uri, self.verifier, scope
        )
        self._check_nonce(tokens)
        return tokens

    def has_answer(self, address: str) -> bool:
        """Return whether an address has the answer to this request, and not to another one.

        It may be an answer that `accept` rejects: only this request has the state.
        """
        return any(name == "state" and self._is_state(value) for name, value in _pairs(address))

    def _is_state(self, text: str) -> bool:
        return _equal(text, self.state.reveal().decode())

    def _read_code(self, answer: str) -> Secret:
        """Return the code. Raises OAuthError: a refusal, or an answer to another request."""
        fields = read_fields(answer)
        if not self._is_state(fields.get("state", "")):
            text = "the answer has another state, so it belongs to another sign-in"
            raise OAuthError("oauth-forged", text)
        if "error" not in fields or "iss" in fields:  # some issuers leave it out of a refusal
            self._check_issuer(fields.get("iss"))
        if "error" in fields:
            raise refusal(200, fields, code=True)
        if not fields.get("code"):
            raise OAuthError("oauth-answer", "the issuer's answer has no code")
        return Secret(fields["code"].encode())

    def _check_issuer(self, issuer: str | None) -> None:
        """RFC 9207 section 2.4. Raises OAuthError: the answer is from another issuer."""
        server = self.client.server
        if server.iss_in_response is False or (issuer is None and not server.iss_in_response):
            return
        if issuer is None or not _equal(issuer, server.issuer):
            origin = "no issuer" if issuer is None else f"the issuer {issuer[:100]}"
            text = f"the answer names {origin}, and not {server.issuer}"
            raise OAuthError("oauth-forged", text)

    def _check_nonce(self, tokens: TokenSet) -> None:
        """Raise OAuthError: an ID token is for another request. OpenID Connect section 3.1.3.7."""
        claims = read_claims(tokens.id_token) if tokens.id_token else {}
        if claims and self._nonce and not _equal(str(claims.get("nonce")), self._nonce):
            raise OAuthError("oauth-forged", "the ID token belongs to another sign-in")


def read_fields(answer: str) -> dict[str, str]:
    """Return the fields of an answer. Raises OAuthError: it has none, or one of them twice."""
    if len(answer) > LONGEST_ANSWER:
        raise OAuthError("oauth-answer", "the answer of the browser is too long")
    pairs = _pairs(answer)
    fields = dict(pairs)
    if not fields:
        raise OAuthError("oauth-answer", "the address has no answer of the issuer")
    if len(fields) != len(pairs):  # RFC 6749 section 3.1
        raise OAuthError("oauth-answer", "the answer of the issuer has a field twice")
    return fields


def _pairs(answer: str) -> list[tuple[str, str]]:
    """Return the fields of an answer with their values; nothing for what is not an address."""
    text = answer.strip().encode(errors="replace").decode()  # of a terminal without UTF-8
    try:
        return parse_qsl(urlsplit(text).query)
    except ValueError:
        return []


def _equal(text: str, other: str) -> bool:
    return hmac.compare_digest(text.encode(), other.encode())
