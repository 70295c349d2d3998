"""From an issuer's refusal to a verdict."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from restante.diagnosis.explanations import EXPLANATIONS
from restante.oauth import refusals
from restante.oauth.refusals import NUMBERS, refusal

ROWS = [(number, verdict) for verdict, numbers in NUMBERS.items() for number in numbers]


def body(number: int, error: str = "invalid_grant", *, listed: bool = True) -> dict[str, Any]:
    made: dict[str, Any] = {"error": error, "error_description": f"AADSTS{number}: It is so."}
    return {**made, "error_codes": [number]} if listed else made


@pytest.mark.parametrize(("number", "verdict"), ROWS)
def test_numbers_of_microsoft(number: int, verdict: str) -> None:
    """Each number has its verdict, in the list of the answer or in its words alone."""
    assert refusal(400, body(number)).id == verdict
    assert refusal(400, body(number, listed=False)).id == verdict


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ({"error": "invalid_grant", "error_description": "Token has been expired or revoked."},
         "oauth-refresh"),
        ({"error": "invalid_grant", "error_description": "reauth related error (invalid_rapt)",
          "error_subtype": "invalid_rapt"}, "oauth-frequency"),
        ({"error": "invalid_grant", "error_description": "Account has been deleted"},
         "oauth-account"),
        ({"error": "invalid_request", "error_description": "client_secret is missing."},
         "oauth-secret"),
        ({"error": "invalid_client", "error_description": "The OAuth client was not found."},
         "oauth-client"),
        ({"error": "invalid_request", "error_description": "Missing redirect_uri"},
         "oauth-redirect"),
        ({"error": "invalid_scope"}, "oauth-scope"),
        ({"error": "interaction_required"}, "oauth-mfa"),
        ({"error": "consent_required"}, "oauth-consent"),
        ({"error": "access_denied"}, "oauth-declined"),
        ({"error": "admin_policy_enforced"}, "oauth-policy"),
        ({"error": "expired_token"}, "oauth-code"),
        ({"error": "temporarily_unavailable"}, "oauth-busy"),
        ({"error": "of another kind"}, "oauth-answer"),
        ({}, "oauth-answer"),
        ({"error": 5, "error_codes": "none", "error_description": ["?"]}, "oauth-answer"),
    ],
)  # fmt: skip
def test_error_codes(answer: dict[str, Any], verdict: str) -> None:
    """Error codes of the RFCs and the words of other issuers have their verdicts."""
    assert refusal(400, answer).id == verdict


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_statuses(status: int) -> None:
    """A status of overload or trouble is temporary, whatever page comes with it."""
    assert refusal(status, {}).temporary


@pytest.mark.parametrize("status", [429, 500, 503])
def test_trouble_ends_nothing(status: int) -> None:
    """An issuer in trouble does not end a sign-in, whatever error it names. RFC 6749 section 5.2"""
    error = refusal(status, body(700082))
    assert (error.id, error.ended) == ("oauth-busy", False)


@pytest.mark.parametrize(
    ("answer", "ended"),
    [
        (body(700082), True),
        (body(50076, "interaction_required"), False),
        (body(50196), False),
        (body(80013), False),
        (body(99999), True),
        ({"error": "invalid_client"}, False),
        ({"error": "server_error"}, False),
    ],
)
def test_what_ends_a_sign_in(answer: dict[str, Any], ended: bool) -> None:
    """Only invalid_grant does, and neither throttling nor a wrong clock."""
    assert refusal(400, answer).ended is ended


def test_a_code_that_ran_out() -> None:
    """invalid_grant for a code is about the code, and not about a sign-in of earlier."""
    assert refusal(400, {"error": "invalid_grant"}, code=True).id == "oauth-code"


@pytest.mark.parametrize(
    ("suberror", "verdict"),
    [
        ("consent_required", "oauth-consent"),
        ("additional_action", "oauth-mfa"),
        ("user_password_expired", "oauth-revoked"),
        ("bad_token", "oauth-refresh"),
    ],
)
def test_suberrors(suberror: str, verdict: str) -> None:
    """Without a number, Microsoft's second code has the cause of an invalid grant."""
    assert refusal(400, {"error": "invalid_grant", "suberror": suberror}).id == verdict


def test_an_object_for_the_error() -> None:
    """An issuer may describe its error by an object; its words are shown."""
    said = {"code": 400, "message": "The client is bad.", "status": "invalid_client"}
    error = refusal(400, {"error": said})
    assert (error.id, error.error, error.text) == (
        "oauth-client", "invalid_client", "The client is bad.",
    )  # fmt: skip


def test_long_and_odd_words() -> None:
    """The text of an error is one line of bounded length."""
    error = refusal(400, {"error": "x" * 5000, "error_description": "\x1b[2J" + "y" * 5000 + "\nz"})
    assert len(str(error)) < 1000
    assert "\x1b" not in str(error)
    assert "z" not in str(error)


def test_each_verdict_is_explained() -> None:
    """Each id that the client of OAuth raises has a text for `pop3 explain`."""
    source = Path(refusals.__file__).parent
    texts = [file.read_text() for file in source.rglob("*.py")]
    ids = {verdict for text in texts for verdict in re.findall(r'"(oauth-[a-z-]+)"', text)}
    assert len(ids) > 20
    assert ids - EXPLANATIONS.keys() - {"oauth-public"} == set()  # that one is a key of PACC
