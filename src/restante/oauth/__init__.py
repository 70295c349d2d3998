"""OAuth 2 for mail accounts: signing in, keeping tokens, and refreshing them.

Which issuer: `providers` is the table of the large providers. For other servers, `discovery` asks
`server_sources` and `pacc`, then `metadata` of the issuer. `settings` are those of an account, and
`client` is what a sign-in needs of all this; `registration` registers one.

Signing in: `flows` are the ways to do it, and `sign_in` is the result. `token_endpoint` gets
tokens by `issuer_requests`; `refusals` makes a verdict of a refusal, `errors` has the exceptions.
`json_objects` reads what issuers and servers send.

Tokens: `token_store` keeps them under `token_names`, in the keyring (`keyring_entries`) or in
`private_files`, encrypted by `sealing` with a key from `secret_command`. `token_source` gives an
access token that is fresh. `token_claims`, `token_information` and `known_end` say what is in one.

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

if not TYPE_CHECKING:  # with `__getattr__`, a type checker accepts any name
    __getattr__, __dir__ = make_loader(__name__, _MODULES)
