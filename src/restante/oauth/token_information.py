"""An issuer's information about a token without readable claims.

Google's access tokens are opaque, and its endpoint `tokeninfo` describes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from restante.oauth.errors import OAuthError
from restante.oauth.issuer_requests import post_form
from restante.oauth.providers import find_by_host, load_providers
from restante.protocol.client.hidden_secrets import HiddenSecrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from restante.oauth.providers import Provider
    from restante.protocol.secret import Secret


def ask_claims(
    token: Secret, host: str, providers: Mapping[str, Provider] | None = None
) -> dict[str, Any]:
    """Return what the provider of a mail server says of its token, as claims; nothing otherwise.

    A token that the provider does not accept has the claim `error`. Only the provider that made the
    token is asked.
    """
    rows = load_providers() if providers is None else providers
    provider = rows.get(find_by_host(rows, host))
    if provider is None or not provider.tokeninfo:
        return {}
    try:
        access = token.reveal().decode()
        status, answer, _ = post_form(provider.tokeninfo, {"access_token": access})
    except (OAuthError, UnicodeError):
        return {}
    if status == 200:
        return answer
    reason = answer.get("error_description") or answer.get("error")
    if not isinstance(reason, str) or not 400 <= status < 500:
        return {}
    secrets = HiddenSecrets()
    secrets.add(access)
    return {"error": secrets.redact(reason)}
