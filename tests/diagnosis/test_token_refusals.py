"""Why a token was refused, by its claims: no network, and no verification."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from restante.client.options import Target
from restante.diagnosis.token_refusals import describe_challenge, describe_claims, judge_token

NOW = 1_000_000.0
EXCHANGE = "https://outlook.office.com"
POP = "POP.AccessAsUser.All"
GOOGLE = b'{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}'
OK: dict[str, Any] = {"aud": EXCHANGE, "scp": POP, "upn": "ann@contoso.com", "exp": NOW + 600}


def token(**claims: Any) -> str:
    parts = [{"alg": "none"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts]
    return b".".join([*encoded, b"c2ln"]).decode()


def target(host: str = "outlook.office365.com", user: str = "ann@contoso.com") -> Target:
    return Target(host, 995, "implicit", user)


@pytest.mark.parametrize(
    ("claims", "user", "verdict", "evidence"),
    [
        ({"aud": "https://graph.microsoft.com"}, "ann@contoso.com", "token-audience", "graph.mic"),
        (
            {"aud": "00000003-0000-0000-c000-000000000000"},
            "ann@contoso.com", "token-audience", "00000003",
        ),
        ({"scp": "IMAP.AccessAsUser.All"}, "ann@contoso.com", "token-audience", "IMAP.Access"),
        ({"scp": None}, "ann@contoso.com", "token-audience", "nothing"),
        ({}, "shared@contoso.com", "token-user", "ann@contoso.com"),
        ({}, "ANN@Contoso.com", "pop-off", "outlook.office.com"),
        ({"scp": None, "roles": ["POP.AccessAsApp"], "upn": None}, "a@b.c", "pop-off", "application"),
        ({"nbf": NOW + 3600}, "ann@contoso.com", "oauth-clock", "60 min"),
        ({"aud": [EXCHANGE]}, "ann@contoso.com", "pop-off", EXCHANGE),
        ({"aud": 7}, "ann@contoso.com", "token-audience", "no server"),
    ],
)  # fmt: skip
def test_exchange(claims: dict[str, Any], user: str, verdict: str, evidence: str) -> None:
    """At Exchange Online the claims say whether token, user or mailbox is the cause."""
    said = {name: value for name, value in {**OK, **claims}.items() if value is not None}
    found = judge_token(token(**said), target(user=user), now=NOW)
    assert found.id == verdict
    assert evidence in found.evidence


@pytest.mark.parametrize("made", ["EwBYA8l6BAAU", "a.b.c", "..", token(), "x" * 5000])
def test_opaque(made: str) -> None:
    """A token that says nothing leads to no guess."""
    assert judge_token(made, target("mail.example.com"), now=NOW).id == "token-refused"


@pytest.mark.parametrize("name", ["aud", "scp", "scope", "roles", "iat", "nbf", "upn", "email"])
@pytest.mark.parametrize(
    "value", [5, True, [], [5], {"a": 1}, "https://[", ["https://["], "\ud800"]
)
def test_odd_claims(name: str, value: object) -> None:
    """A claim may be of any type: the token is judged all the same."""
    for host in ("outlook.office365.com", "mail.example.com"):
        assert judge_token(token(**{name: value}), target(host), b'{"scope":"mail"}').id


@pytest.mark.parametrize("begins", [10**400, 1e308, float("inf")])
def test_a_token_of_the_far_future(begins: float) -> None:
    """A time without bounds is said in words."""
    found = judge_token(token(iat=begins), target(), now=NOW)
    assert found == ("oauth-clock", "the token is valid in over a year, by this machine's clock")


def test_required_scope() -> None:
    """If the server names the scope that it requires, a token without it is for another service."""
    made = token(scope="https://www.googleapis.com/auth/gmail.readonly")
    found = judge_token(made, target("pop.gmail.com"), GOOGLE, now=NOW)
    assert found.id == "token-audience"
    assert "https://mail.google.com/" in found.evidence
    assert judge_token(token(scope="https://mail.google.com/"), target("pop.gmail.com"), GOOGLE).id \
        == "token-refused"  # fmt: skip


@pytest.mark.parametrize(
    ("more", "verdict", "evidence"),
    [
        ({"scope": "openid email", "email": "ann@gmail.com"}, "token-audience", "openid email"),
        (
            {"scope": "https://mail.google.com/", "email": "bob@gmail.com"},
            "token-user",
            "bob@gmail.com",
        ),
        ({"error": "Invalid Value"}, "token-refused", "Invalid Value"),
        ({}, "token-refused", ""),
    ],
)
def test_what_the_issuer_says(more: dict[str, Any], verdict: str, evidence: str) -> None:
    """The issuer's information about an opaque token counts as its claims."""
    where = target("pop.gmail.com", "ann@gmail.com")
    found = judge_token("ya29.a0Af", where, GOOGLE, NOW, more)
    assert found.id == verdict
    assert evidence in found.evidence


def test_challenge() -> None:
    """The server's reason is shown in a line; anything else in its place is not."""
    assert describe_challenge(GOOGLE) == "status 400, scope https://mail.google.com/"
    for other in (b"", b"[]", b"\xff", b'{"status":7}', b'{"extra":"x"}', b"[" * 5000):
        assert describe_challenge(other) == ""
    assert len(describe_challenge(b'{"status":"%s"}' % (b"x" * 4000))) < 250


def test_claims() -> None:
    """Only the claims that say what a token is for are shown, and never all of a long one."""
    found = dict(describe_claims(token(**OK, sub="secret-subject", roles=["x" * 900])))
    assert found["aud"] == EXCHANGE
    assert "sub" not in found
    assert len(found["roles"]) < 250
