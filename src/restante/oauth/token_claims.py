"""The claims of a token that is a JWT, read without verification. RFC 7519.

The mail server verifies tokens. Here a user is shown the account and the server of a token.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from restante.oauth.json_objects import read_object

if TYPE_CHECKING:
    from restante.oauth.token_endpoint import TokenSet
    from restante.protocol.secret import Secret

USER_CLAIMS = ("preferred_username", "upn", "unique_name", "email")  # the first that is there
LONGEST_NAME = 320  # characters


def read_claims(token: Secret) -> dict[str, Any]:
    """Return the claims of a token, none if it is not a JWT."""
    parts = token.reveal().split(b".")
    if len(parts) != 3:
        return {}
    try:
        octets = base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4))
    except (binascii.Error, ValueError):
        return {}
    return read_object(octets) or {}


def user_of(tokens: TokenSet) -> str:
    """Return the name of the user that signed in, "" if no token says it."""
    for token in (tokens.id_token, tokens.access):
        claims = read_claims(token) if token else {}
        for name in USER_CLAIMS:
            value = claims.get(name)
            if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME:
                return value
    return ""
