"""Issuers describe an opaque token."""

from __future__ import annotations

import msgspec
import pytest

from restante.oauth.providers import Provider, load_providers
from restante.oauth.token_information import ask_claims
from restante.protocol.secret import Secret
from support.issuer import running_issuer

TOKEN = Secret(b"ya29.opaque")


def rows(url: str) -> dict[str, Provider]:
    google = load_providers()["google"]
    return {"google": msgspec.structs.replace(google, tokeninfo=url)}


def test_description() -> None:
    """The provider of the server describes its token, and is asked by a form, not in a URL."""
    with running_issuer() as issuer:
        issuer.described["ya29.opaque"] = {"scope": "email", "email": "ann@gmail.com"}
        found = ask_claims(TOKEN, "pop.gmail.com", rows(f"{issuer.url}/tokeninfo"))
        assert found == {"scope": "email", "email": "ann@gmail.com"}
        assert ask_claims(Secret(b"x"), "pop.gmail.com", rows(f"{issuer.url}/tokeninfo")) == {
            "error": "Invalid Value"
        }
        assert all("ya29" not in path for path, _ in issuer.requests)


@pytest.mark.parametrize("host", ["mail.example.com", "outlook.office365.com"])
def test_nobody_to_ask(host: str) -> None:
    """A token is shown to no other provider than that of its server."""
    with running_issuer() as issuer:
        assert ask_claims(TOKEN, host, rows(f"{issuer.url}/tokeninfo")) == {}
        assert issuer.requests == []


def test_trouble() -> None:
    """An issuer that does not answer, or answers something else, says nothing."""
    with running_issuer() as issuer:
        assert ask_claims(TOKEN, "pop.gmail.com", rows(f"{issuer.url}/nowhere")) == {}
    assert ask_claims(TOKEN, "pop.gmail.com", rows("http://127.0.0.1:9/tokeninfo")) == {}


def test_repeated_token() -> None:
    """A provider that repeats the token in its answer does not bring it into a claim."""
    with running_issuer() as issuer:
        issuer.described["ya29.opaque"] = {"error_description": "no such token: ya29.opaque"}
        found = ask_claims(TOKEN, "pop.gmail.com", rows(f"{issuer.url}/tokeninfo"))
    assert found == {"error": "no such token: ***"}
