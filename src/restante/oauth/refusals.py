"""From an issuer's refusal to a verdict.

The error code of RFC 6749 decides what a program does (`OAuthError.ended`). The numbers of
Microsoft and the words of Google only choose the text that explains it: Microsoft says that they
change, and that programs must not depend on them.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from restante.oauth.errors import OAuthError
from restante.protocol.client.hidden_secrets import HiddenSecrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONGEST = 500  # characters of an issuer's words that are shown

NUMBERS = {
    "oauth-refresh": (700082, 70008, 50089, 700084, 70000, 54008),
    "oauth-revoked": (50173, 50132, 50133, 50055, 50144),
    "oauth-frequency": (70043, 70044),
    "oauth-mfa": (50076, 50079, 50074, 50078, 50072, 53004, 50058),
    "oauth-consent": (65001, 90094, 90095, 90008, 650056, 50105),
    "oauth-declined": (65004,),
    "oauth-policy": (53003, 530032, 530035, 53000, 53001, 53002, 50097, 50005, 50131),
    "oauth-client": (700016, 7000112, 70001, 50194, 9001023),
    "oauth-secret": (7000215, 7000218, 7000222, 70002, 700025),
    "oauth-redirect": (50011, 900971, 70004),
    "oauth-scope": (70011, 28002, 650057, 65005, 700022),
    "oauth-account": (50020, 50034, 90072, 500208, 16000, 9002332, 50057),
    "oauth-code": (70019, 70018, 54005),
    "oauth-busy": (90006, 90033, 50196),
    "oauth-clock": (80013,),
}
"""Microsoft's numbers, read in its reference of AADSTS error codes on 26 Nov 2026."""

WORDS = (
    ("oauth-frequency", r"invalid_rapt|rapt_required"),
    ("oauth-revoked", r"password (?:has been |was )?changed"),
    ("oauth-account", r"account (?:has been |is )?(?:deleted|disabled|restricted)"),
    ("oauth-redirect", r"redirect[_ ]uri"),
    ("oauth-secret", r"client[_ ]secret"),
    ("oauth-scope", r"scope"),
    ("oauth-clock", r"\b(?:iat|nbf)\b|issued in the future|too early"),
)
"""The words of other issuers. They are searched if an error code has several causes."""

CODES = {
    "invalid_grant": "oauth-refresh",
    "interaction_required": "oauth-mfa",
    "login_required": "oauth-mfa",
    "consent_required": "oauth-consent",
    "access_denied": "oauth-declined",
    "authorization_declined": "oauth-declined",
    "unauthorized_client": "oauth-client",
    "invalid_client": "oauth-client",
    "deleted_client": "oauth-client",
    "disabled_client": "oauth-client",
    "redirect_uri_mismatch": "oauth-redirect",
    "invalid_redirect_uri": "oauth-redirect",
    "invalid_scope": "oauth-scope",
    "expired_token": "oauth-code",
    "bad_verification_code": "oauth-code",
    "admin_policy_enforced": "oauth-policy",
    "org_internal": "oauth-account",
    "temporarily_unavailable": "oauth-busy",
    "server_error": "oauth-busy",
    "rate_limit_exceeded": "oauth-busy",
    "slow_down": "oauth-busy",
    "basic_action": "oauth-mfa",
    "additional_action": "oauth-mfa",
    "user_password_expired": "oauth-revoked",
}
"""Error codes: RFC 6749 sections 4.1.2.1 and 5.2, RFC 7591, RFC 8628, OpenID Connect, Google.

The last three are Microsoft's, in the field `suberror`, which can also have others of these codes.
"""

_BY_NUMBER = {number: verdict for verdict, numbers in NUMBERS.items() for number in numbers}
_SEVERAL_CAUSES = ("invalid_grant", "invalid_client", "invalid_request", "unauthorized_client")


def refusal(
    status: int,
    body: Mapping[str, Any],
    sent: Iterable[str] = (),
    *,
    code: bool = False,
    wait: float = 0.0,
) -> OAuthError:
    """Return the error for an answer that is not a success.

    Args:
        status: the status of HTTP, 200 for an answer that came by a redirect.
        body: the fields of the answer.
        sent: secrets of the request. The issuer may repeat them, and the error must not.
        code: an authorization code or device code was sent, and no refresh token.
        wait: the seconds that the issuer asks to wait, 0 for none.
    """
    body = _flat(body)
    error = _text(body.get("error"))
    words = " ".join(_text(body.get(key)) for key in ("error_description", "error_subtype"))
    suberror = _text(body.get("suberror"))
    verdict = _verdict(status, error, suberror, _numbers(body, words), words)
    if verdict == "oauth-refresh" and code:
        verdict = "oauth-code"
    no_words = "the issuer says no more" if error else f"the issuer answered HTTP {status}"
    secrets = HiddenSecrets()
    secrets.add(*sent)
    text = _first_line(secrets.redact(_text(body.get("error_description")) or no_words))
    correlation = secrets.redact(_text(body.get("correlation_id")))[:64]
    text += f" (correlation id {correlation})" if correlation else ""
    if wait:
        text += f"; it asks to wait {math.ceil(wait)} s"
    refused = OAuthError(verdict, text, error=secrets.redact(error)[:64], correlation=correlation)
    refused.wait = wait
    return refused


def _flat(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an answer in the form of RFC 6749; some issuers have an object for the error."""
    error = body.get("error")
    if not isinstance(error, dict):
        return body
    code = _text(error.get("status")) or _text(error.get("code"))
    return {**body, "error": code, "error_description": error.get("message")}


def _verdict(status: int, error: str, suberror: str, numbers: Iterable[int], words: str) -> str:
    if status == 429 or status >= 500:  # RFC 6749 section 5.2: a refusal has another status
        return "oauth-busy"
    for number in numbers:
        if number in _BY_NUMBER:
            return _BY_NUMBER[number]
    if error in _SEVERAL_CAUSES:
        if suberror in CODES:
            return CODES[suberror]
        for verdict, pattern in WORDS:
            if re.search(pattern, words, re.IGNORECASE):
                return verdict
    return CODES.get(error, "oauth-answer")


def _numbers(body: Mapping[str, Any], words: str) -> list[int]:
    """Return Microsoft's numbers, of the list or else of the words."""
    listed = body.get("error_codes")
    if isinstance(listed, list) and listed:
        return [number for number in listed if isinstance(number, int)]
    return [int(digits) for digits in re.findall(r"AADSTS(\d{5,9})", words)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _first_line(words: str) -> str:
    """Return the first line; Microsoft's others have ids that are shown elsewhere."""
    return (words.strip().splitlines() or [""])[0][:LONGEST]
