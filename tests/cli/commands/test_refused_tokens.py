"""What an issuer refuses, up to the message and the exit code of the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.diagnosis.explanations import EXPLANATIONS
from support import browser
from support.issuer import Issuer, Refused, aadsts
from support.token_home import TokenHome
from support.token_server import TokenServer

REFUSALS = [
    ("oauth-refresh", aadsts(700082)),
    ("oauth-revoked", aadsts(50173)),
    ("oauth-revoked", Refused("invalid_grant", error_description="Password has been changed")),
    ("oauth-frequency", aadsts(70043)),
    ("oauth-frequency", Refused("invalid_grant", error_subtype="invalid_rapt")),
    ("oauth-mfa", aadsts(50076, "interaction_required")),
    ("oauth-consent", aadsts(65001)),
    ("oauth-declined", aadsts(65004, "access_denied")),
    ("oauth-policy", aadsts(53003)),
    ("oauth-policy", Refused("admin_policy_enforced")),
    ("oauth-client", aadsts(700016, "unauthorized_client")),
    ("oauth-secret", aadsts(7000215, "invalid_client")),
    ("oauth-redirect", aadsts(50011, "invalid_request")),
    ("oauth-redirect", Refused("redirect_uri_mismatch")),
    ("oauth-scope", aadsts(70011, "invalid_scope")),
    ("oauth-scope", Refused("invalid_scope")),
    ("oauth-account", aadsts(50020)),
    ("oauth-account", Refused("org_internal", 403)),
    ("oauth-code", aadsts(70019, "expired_token")),
    ("oauth-busy", aadsts(90033, "temporarily_unavailable")),
    ("oauth-busy", Refused("rate_limit_exceeded", 429)),
    ("oauth-clock", aadsts(80013)),
    ("oauth-clock", Refused("invalid_grant", error_description="iat is in the future")),
]
IDS = [f"{verdict}-{made.body['error']}" for verdict, made in REFUSALS]


@pytest.fixture
def home(tmp_path: Path, token_server: TokenServer, issuer: Issuer) -> TokenHome:
    issuer.scripted.clear()
    issuer.changes = {}
    made = TokenHome(tmp_path, token_server, issuer)
    made.accounts(
        f'[work]\naccount = "{token_server.url("ann")}"\n'
        f'oauth = {{ issuer = "{issuer.url}", client_id = "mine" }}\n'
        f'[work.fetch]\nto = "maildir:{tmp_path}/mail"\n'
    )
    return made


@pytest.mark.parametrize(("verdict", "refused"), REFUSALS[1:], ids=IDS[1:])
def test_login(home: TokenHome, verdict: str, refused: Refused) -> None:
    """A code that the issuer refuses is an error with its verdict, and nothing is kept.

    The first refusal is of refresh tokens alone.
    """
    home.issuer.scripted.append(refused)
    ran = home.pop3("login", "work", BROWSER=browser.COMMAND)
    require_verdict(ran.code, ran.err, verdict, refused)
    assert home.store.names() == []


@pytest.mark.parametrize(
    ("verdict", "error"),
    [
        ("oauth-declined", "access_denied"),
        ("oauth-consent", "consent_required"),
        ("oauth-policy", "admin_policy_enforced"),
        ("oauth-client", "unauthorized_client"),
        ("oauth-scope", "invalid_scope"),
        ("oauth-redirect", "redirect_uri_mismatch"),
        ("oauth-account", "org_internal"),
        ("oauth-busy", "temporarily_unavailable"),
    ],
)
def test_authorization(home: TokenHome, verdict: str, error: str) -> None:
    """A refusal that the browser brings has its verdict, and nothing is kept."""
    home.issuer.changes = {"code": None, "error": error}
    ran = home.pop3("login", "work", BROWSER=browser.COMMAND)
    require_verdict(ran.code, ran.err, verdict, Refused(error))
    assert home.store.names() == []


@pytest.mark.parametrize("command", ["check", "fetch"])
@pytest.mark.parametrize(("verdict", "refused"), REFUSALS, ids=IDS)
def test_refresh(home: TokenHome, command: str, verdict: str, refused: Refused) -> None:
    """A refresh that the issuer refuses ends the command with its verdict. Tokens are kept."""
    made = home.sign_in("work", life=-1)
    times = 2 if verdict == "oauth-scope" else 1  # it is sent without a scope, too
    home.issuer.scripted += [refused] * times
    ran = home.pop3(command, "work")
    require_verdict(ran.code, ran.out + ran.err, verdict, refused)
    assert home.stored("work").sign_in.tokens == made.tokens


def require_verdict(code: int, said: str, verdict: str, refused: Refused) -> None:
    """Require the verdict, its exit code, the issuer's own words, and what to do."""
    row = EXPLANATIONS[verdict]
    text = " ".join(said.split())
    assert (code, f"FAIL {verdict} {row.verdict}" in text) == (row.exit, True), said
    words = refused.body.get("error_description", f"[{refused.body['error']}]")
    assert words.split(" Trace ID")[0] in text
    assert ("(correlation id c0-ffee)" in text) == ("correlation_id" in refused.body)
    assert " ".join(row.you.split()) in text
