"""Claims of a token, read without verification."""

from __future__ import annotations

import base64
import json

import pytest

from restante.oauth.token_claims import read_claims, user_of
from restante.oauth.token_endpoint import TokenSet
from restante.protocol.secret import Secret


def token(claims: object) -> Secret:
    octets = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return Secret(b"e30." + octets + b".c2ln")


def test_the_user() -> None:
    """The name is that of the ID token, or else that of the access token."""
    access = token({"upn": "ann@contoso.com", "aud": "pop"})
    named = token({"preferred_username": "ann@example.com"})
    assert user_of(TokenSet(access, None, None, "")) == "ann@contoso.com"
    assert user_of(TokenSet(access, None, None, "", named)) == "ann@example.com"


@pytest.mark.parametrize(
    "octets", [b"", b"opaque", b"a.b.c", b"a.!!.c", b"a.W10.c", b"a.NQ.c", b"a.b.c.d", b"a.eyJ.c"]
)
def test_what_is_no_jwt(octets: bytes) -> None:
    """An opaque token, or any other octets, have no claims."""
    assert read_claims(Secret(octets)) == {}


def test_odd_claims() -> None:
    """A name that is not a text of a bounded length is left out."""
    for value in (5, "", "x" * 5000, ["a"]):
        assert user_of(TokenSet(token({"upn": value}), None, None, "")) == ""
