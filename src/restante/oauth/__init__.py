"""OAuth 2 for mail accounts: signing in, keeping tokens, and refreshing them.

`providers` knows the large providers, `metadata` finds the issuer of any other server, `flows` are
the ways to sign in, `token_endpoint` gets tokens and explains refusals, `token_store` keeps them,
`token_source` gives an access token that is fresh.

Always: a refresh token is durable before its access token is used. Network trouble forgets no
token. No token is in a log, a trace, an error or an argument.

API: the names in `__all__`, each loaded when it is first used. The modules are not API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.lazy_names import make_loader

if TYPE_CHECKING:
    from restante.oauth.errors import OAuthError, TokenStoreError
    from restante.oauth.token_source import StoredTokenSource
    from restante.oauth.token_store import TokenStore

__all__ = ["OAuthError", "StoredTokenSource", "TokenStore", "TokenStoreError"]

_MODULES = {
    "OAuthError": "restante.oauth.errors",
    "StoredTokenSource": "restante.oauth.token_source",
    "TokenStore": "restante.oauth.token_store",
    "TokenStoreError": "restante.oauth.errors",
}


__getattr__ = make_loader(__name__, _MODULES)
