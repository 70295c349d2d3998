"""Why a server refused an access token, as far as the token itself says.

A JWT is decoded without verification: the server has already judged it. An opaque token says
nothing; a deep check asks its provider, where that is possible.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from restante.oauth.json_objects import read_object
from restante.oauth.token_claims import USER_CLAIMS, read_claims
from restante.protocol.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restante.client.options import Target
    from restante.protocol.errors import ServerRefusedError

SHOWN_CLAIMS = ("aud", "scp", "scope", "roles", *USER_CLAIMS)
LONGEST = 200  # characters of a claim, or of a server's words, that are shown
SKEW = 300  # seconds that clocks may differ
YEAR = 366 * 86400  # seconds

_MICROSOFT = ("outlook.office365.com", "outlook.office.com", "outlook.com")
_EXCHANGE = ("outlook.office365.com", "outlook.office.com", "00000002-0000-0ff1-ce00-000000000000")
_POP_SCOPES = ("POP.AccessAsUser.All", "POP.AccessAsApp")


class TokenVerdict(NamedTuple):
    """The id of a verdict, and the evidence for it, "" for none."""

    id: str
    evidence: str


def judge_token(
    token: str,
    target: Target,
    challenge: bytes = b"",
    now: float | None = None,
    more: Mapping[str, Any] | None = None,
) -> TokenVerdict:
    """Return why `target` refused a token.

    `challenge` is what the server said of it, as RFC 7628 section 3.2.2 has it. `now` is the time,
    None for the present. `more` are the claims of an opaque token, by its issuer.
    """
    claims = read_claims(Secret(token.encode())) or more or {}
    now = time.time() if now is None else now
    for verdict in _verdicts(claims, target, _fields(challenge), now):
        return verdict
    if isinstance(claims.get("error"), str):
        text = f"its issuer does not accept the token, either: {_short(claims['error'])}"
        return TokenVerdict("token-refused", text)
    microsoft = _is_microsoft(target.host)
    if microsoft and claims:
        text = f"the token is for {_audience(claims)}, and for {_user(claims) or 'an application'}"
        return TokenVerdict("pop-off", f"{text}; IMAP with the same token was not tried")
    return TokenVerdict("token-refused", "")


def _verdicts(
    claims: Mapping[str, Any], target: Target, challenge: Mapping[str, str], now: float
) -> Iterator[TokenVerdict]:
    """Yield what is wrong with the claims of a token, the most likely cause first."""
    for name in ("nbf", "iat"):
        begins = claims.get(name)
        if isinstance(begins, int | float) and begins > now + SKEW:
            far = begins > now + YEAR  # or without end, as a number of JSON can be
            wait = "over a year" if far else f"{(begins - now) / 60:.0f} min"
            text = f"the token is valid in {wait}, by this machine's clock"
            yield TokenVerdict("oauth-clock", text)
    if text := _wrong_audience(claims, target.host, challenge.get("scope", "")):
        yield TokenVerdict("token-audience", text)
    user = _user(claims)
    if user and target.user and user.casefold() != target.user.casefold():
        text = f"the token is of {_short(user)}, and the login is as {target.user}"
        yield TokenVerdict("token-user", text)


def _wrong_audience(claims: Mapping[str, Any], host: str, required: str) -> str:
    """Return why a token is not for a server, "" where it may be."""
    audience, scopes = _audience(claims), _scopes(claims)
    if _is_microsoft(host) and claims:
        if (_host_of(audience) or audience) not in _EXCHANGE:
            return f"the token is for {_short(audience) or 'no server'}, not for {host}"
        if not any(scope in scopes for scope in _POP_SCOPES):
            return f"the token allows {_short(' '.join(scopes)) or 'nothing'}, which is not POP"
        return ""
    audience_host = _host_of(audience) if audience.startswith("https://") else ""
    if audience_host.endswith(("graph.microsoft.com", "googleapis.com")):
        return f"the token is for {audience_host}, not for {host}"
    if required and scopes and not set(required.split()) & set(scopes):
        return f"the token allows {_short(' '.join(scopes))}; {host} requires {_short(required)}"
    return ""


def _host_of(audience: str) -> str:
    """Return the host of an audience that is a URL, "" for another one."""
    try:
        return urlsplit(audience).hostname or ""
    except ValueError:
        return ""


def _is_microsoft(host: str) -> bool:
    return host in _MICROSOFT or host.endswith(tuple(f".{name}" for name in _MICROSOFT))


def _audience(claims: Mapping[str, Any]) -> str:
    audience = claims.get("aud")
    audience = audience[0] if isinstance(audience, list) and audience else audience
    return audience if isinstance(audience, str) else ""


def _scopes(claims: Mapping[str, Any]) -> list[str]:
    """Return the scopes and the roles of a token."""
    scopes: list[str] = []
    for name in ("scp", "scope", "roles"):
        value = claims.get(name)
        words = value.split() if isinstance(value, str) else value
        if isinstance(words, list):
            scopes += [word for word in words if isinstance(word, str)]
    return scopes


def _user(claims: Mapping[str, Any]) -> str:
    """Return whose token it is, "" where it does not say so by an address or name."""
    return next((v for name in USER_CLAIMS if isinstance(v := claims.get(name), str)), "")


def _fields(challenge: bytes) -> dict[str, str]:
    """Return the fields of a server's reply to a token."""
    reply = read_object(challenge[:4096]) or {}
    return {name: value for name, value in reply.items() if isinstance(value, str)}


def describe_challenge(challenge: bytes) -> str:
    """Return what a server said of a token it refused, in a line, "" for nothing."""
    names = ("status", "scope", "openid-configuration")
    fields = _fields(challenge)
    return ", ".join(f"{name} {_short(fields[name])}" for name in names if fields.get(name))


def describe_claims(token: str) -> list[tuple[str, str]]:
    """Return the claims of a token that name its purpose, none of an opaque token."""
    claims = read_claims(Secret(token.encode()))
    claimed = [(name, _text(claims[name])) for name in SHOWN_CLAIMS if claims.get(name)]
    return [(name, text) for name, text in claimed if text]


def _text(value: object) -> str:
    parts = value if isinstance(value, list) else [value]
    return _short(" ".join(part for part in parts if isinstance(part, str)))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def assign_verdict(
    error: ServerRefusedError, token: str, target: Target, *, ask: bool = False
) -> None:
    """Give a refusal of a token the id of its cause, and the evidence as another line.

    With `ask`, the provider is asked for the claims of an opaque token.
    """
    claims: Mapping[str, Any] = {}
    if ask and not read_claims(Secret(token.encode())):
        from restante.oauth.token_information import ask_claims

        claims = ask_claims(Secret(token.encode()), target.host)
    verdict = judge_token(token, target, error.challenge, more=claims)
    error.id = verdict.id
    statement = describe_challenge(error.challenge)
    error.others += [
        text for text in (verdict.evidence, statement and f"the server said {statement}") if text
    ]
