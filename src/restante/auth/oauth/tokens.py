"""Bearer tokens: for whom they were issued. RFC 6750, RFC 7519, RFC 7662."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote_plus, urlencode

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from restante.auth.interfaces import CredentialsError, UnavailableError
from restante.auth.oauth import issuer
from restante.input_files import read_octets
from restante.net.http import HttpError
from restante.system_errors import explain
from restante.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.protocol.secret import Secret

T = TypeVar("T")

ALGORITHMS = [  # with public keys only: a secret shared with the issuer has no place in a JWKS
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519",
    "EdDSA",  # the earlier name of Ed25519, which most issuers write: RFC 9864 section 4
]  # fmt: skip
PATIENCE = 10  # seconds for an answer, with the wait for a thread
KEYS_KEPT = 3600  # seconds
KEYS_ASKED_AGAIN = 60  # seconds at least between two requests, when the keys do not verify a token
KEYS_MISSED = 5  # seconds at least between two requests, when the last one failed
THREADS = 8  # that may wait for the issuer
MAX_WAITING = 64  # tokens that wait for one of them
LEEWAY = 60  # seconds by which clocks may differ
CHECK = "check tokens.introspection, tokens.client and tokens.client_secret_file"
MOST_TRIED = 16  # keys, for a token whose key id none of them has
LONGEST_HEADER = 16 * 1024  # octets of the header of a token, which may have certificates


class Tokens(Protocol):
    """Knows for whom a token was issued."""

    async def user_of(self, token: Secret) -> str:
        """Return the name of the account. Raises CredentialsError, UnavailableError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The claims that a token must have."""

    issuer: str | None = None
    audience: str | None = None
    user: str = "email"  # the claim with the name of the account

    def check(self, claims: dict[str, Any]) -> str:
        """Return the name of the account. Raises CredentialsError."""
        now = time.time()
        audience = claims.get("aud", [])
        audiences = audience if isinstance(audience, list) else [audience]
        name = claims.get(self.user)
        if (
            (self.issuer is not None and claims.get("iss") != self.issuer)
            or (self.audience is not None and self.audience not in audiences)
            or not _number(claims.get("exp", 0)) > now - LEEWAY
            or not _number(claims.get("nbf", 0)) < now + LEEWAY
            or not isinstance(name, str)
            or not name
            or (self.user == "email" and claims.get("email_verified") in (False, "false"))
        ):
            raise CredentialsError("the token is not for this server, or not valid now")
        return name


class _Headers(JWSRegistry):
    """Accepts the headers of tokens. What is not understood in one is ignored: RFC 7515 section 4.

    A name in its `crit` must be understood: section 4.1.11.
    """

    max_header_length = LONGEST_HEADER

    def __init__(self) -> None:
        super().__init__(algorithms=ALGORITHMS, strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        """Return an algorithm. Raises ValueError: it is not allowed."""
        if name not in ALGORITHMS:
            raise ValueError(f"the algorithm {name!r} is not allowed")
        return self.algorithms[name]  # joserfc's own method warns of the name EdDSA


_HEADERS = _Headers()


class IssuerPool:
    """Asks the issuer in threads of its own: it may be slow, and logins need the others."""

    def __init__(self) -> None:
        self._threads = Threads("the issuer", UnavailableError, most=THREADS, patience=PATIENCE)
        self._waiting = 0

    async def run(self, ask: Callable[[], T]) -> T:
        """Return an answer. Raises UnavailableError: too many wait, or it takes too long."""
        if self._waiting >= MAX_WAITING:
            raise UnavailableError("the issuer is too slow, and too many tokens wait for it")
        self._waiting += 1
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._threads.run("", ask)
        except TimeoutError as error:
            raise UnavailableError("the issuer does not reply in time") from error
        finally:
            self._waiting -= 1


class JwksTokens:
    """Tokens that are signed by keys which the issuer publishes: a JWKS, RFC 7517 section 5.

    `source` is a file or an https URL; http is for this machine alone.
    """

    def __init__(self, source: str, claims: Claims) -> None:
        self._source = source
        self._claims = claims
        self._pool = IssuerPool()
        self._keys: KeySet | None = None
        self._fetched_at = -math.inf
        self._missed_at = -math.inf  # when it was last asked for nothing
        self._lock = asyncio.Lock()

    async def user_of(self, token: Secret) -> str:
        """Return for whom a token was issued. Raises CredentialsError, UnavailableError."""
        text = token.reveal().decode("ascii", errors="replace")
        try:
            claims = _verify_claims(text, await self._fresh_keys(KEYS_KEPT))
        except ValueError:
            try:  # the issuer may have new keys
                claims = _verify_claims(text, await self._fresh_keys(KEYS_ASKED_AGAIN))
            except ValueError as error:
                raise CredentialsError("the token is not signed by the issuer") from error
        if (
            claims.get("aud") is not None and self._claims.audience is None
        ):  # RFC 7519 section 4.1.3
            raise CredentialsError("the token is for a service, and tokens.audience is not set")
        return self._claims.check(claims)

    async def _fresh_keys(self, oldest: float) -> KeySet:
        """Return keys of an age in seconds, or older ones while the issuer gives no others."""
        if self._due(oldest):
            async with self._lock:
                if self._due(oldest):
                    await self._ask()
        if self._keys is None:
            raise UnavailableError(f"{self._source}: no keys of the issuer")
        return self._keys

    def _due(self, oldest: float) -> bool:
        now = time.monotonic()
        return now - self._fetched_at > oldest and now - self._missed_at > KEYS_MISSED

    async def _ask(self) -> None:
        try:
            self._keys = await self._pool.run(self._fetch)
            self._fetched_at = time.monotonic()
        except UnavailableError:
            self._missed_at = time.monotonic()
            if self._keys is None:
                raise

    def _fetch(self) -> KeySet:
        try:
            if self._source.startswith(("https://", "http://")):
                content: Any = issuer.get(self._source)
            else:
                content = json.loads(read_octets(self._source))
            return _usable_keys(content)
        except (
            HttpError, OSError, ValueError, JoseError, KeyError, TypeError, RecursionError
        ) as error:  # fmt: skip
            text = f"{self._source}: no keys of the issuer ({_reason(error)}); check tokens.jwks"
            raise UnavailableError(text) from error


class IntrospectedTokens:
    """Tokens that the issuer is asked about. RFC 7662."""

    def __init__(self, url: str, client: str, client_secret: Secret, claims: Claims) -> None:
        self._url = url
        self._claims = claims
        self._pool = IssuerPool()
        # RFC 6749 section 2.3.1: both are encoded as in a form, and then as in RFC 7617.
        pair = f"{quote_plus(client)}:{quote_plus(client_secret.reveal())}"
        self._authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"

    async def user_of(self, token: Secret) -> str:
        """Return for whom a token was issued. Raises CredentialsError, UnavailableError."""
        claims = await self._pool.run(lambda: self._introspect(token))
        if claims.get("active") is not True:
            raise CredentialsError("the token is not active")
        return self._claims.check({"exp": time.time(), **claims})

    def _introspect(self, token: Secret) -> dict[str, Any]:
        form = {"token": token.reveal(), "token_type_hint": "access_token"}
        headers = [("Authorization", self._authorization), ("Accept", "application/json")]
        try:
            return issuer.post(self._url, urlencode(form).encode(), headers)
        except (HttpError, ValueError) as error:
            text = f"{self._url}: the issuer says nothing about tokens ({_reason(error)})"
            raise UnavailableError(f"{text}; {CHECK}") from error


def _usable_keys(content: Any) -> KeySet:
    """Return the keys of a JWKS that can be used. RFC 7517 section 5: others are ignored.

    Raises ValueError, TypeError or KeyError: there is none.
    """
    keys = []
    for key in content["keys"]:
        with contextlib.suppress(Exception):  # of a new kind, joserfc raises errors of any type
            keys += KeySet.import_key_set({"keys": [key]}).keys
    if not keys:
        raise ValueError("no key that can be used")
    return KeySet(keys)


def _verify_claims(token: str, keys: KeySet) -> dict[str, Any]:
    """Return the claims of a token. Raises ValueError: invalid, or not signed by the keys."""
    try:
        return jwt.decode(token, keys, registry=_HEADERS).claims
    except InvalidKeyIdError:
        return _verify_by_any(token, keys)
    except Exception as error:  # an invalid token makes joserfc raise errors of any type
        raise ValueError("not a token of the issuer") from error


def _verify_by_any(token: str, keys: KeySet) -> dict[str, Any]:
    """Return the claims of a token that does not name its key, or of keys without names.

    The name is optional on both sides: RFC 7515 section 4.1.4, RFC 7517 section 4.5. Raises
    ValueError.
    """
    for key in keys.keys[:MOST_TRIED]:
        with contextlib.suppress(Exception):  # of any type, see above
            return jwt.decode(token, key, registry=_HEADERS).claims
    raise ValueError("no key has signed the token")


def _reason(error: Exception) -> str:
    """Return in a few words why an answer or a file cannot be used, without its contents."""
    if isinstance(error, OSError):
        return explain(error)
    return str(error) if isinstance(error, HttpError) else "it is not the JSON that was expected"


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0
