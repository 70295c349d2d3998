"""A user with stored tokens, and the commands that use them."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from restante.oauth.sign_in import SignIn
from restante.oauth.token_endpoint import TokenEndpoint, TokenSet
from restante.oauth.token_store import StoredSignIn, TokenStore
from restante.protocol.secret import Secret
from support.command import Ran, pop3
from support.issuer import SCOPE, Issuer
from support.token_server import TokenServer

NAME = "ann@localhost"


@dataclass
class TokenHome:
    """A user's files, a server, and the issuer of its tokens."""

    folder: Path
    server: TokenServer
    issuer: Issuer

    @property
    def store(self) -> TokenStore:
        return TokenStore(self.folder / "state" / "restante" / "tokens", keyring=False)

    def sign_in(self, name: str = NAME, host: str = "localhost", **changes: Any) -> SignIn:
        """Keep a sign-in for a name; `life` is what its access token has left, in seconds."""
        life = changes.pop("life", 3600)
        given = self.issuer.give(SCOPE)
        access, refresh = (Secret(given[n].encode()) for n in ("access_token", "refresh_token"))
        tokens = TokenSet(changes.pop("access", access), refresh, time.time() + life, SCOPE)
        endpoint = TokenEndpoint(f"{self.issuer.url}/token", "me")
        made = SignIn("", self.issuer.url, endpoint, tokens, "device", SCOPE)
        made = replace(made, signed_in_at=time.time(), revocation_url=f"{self.issuer.url}/revoke")
        made = replace(made, **changes)
        self.store.save(name, made, host, time.time() - 3600 + life)
        return made

    def stored(self, name: str = NAME) -> StoredSignIn:
        found = self.store.load(name)
        assert found
        return found

    def accounts(self, text: str) -> None:
        file = self.folder / "config" / "restante" / "accounts.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "SSL_CERT_FILE": str(self.server.authority),
        }

    def run(self, *words: str, **more: Any) -> Ran:
        """Run a command. Its output may have a token."""
        settings: dict[str, Any] = {"password": None, **self.environment, **more}
        return pop3(*words, **settings)

    def pop3(self, *words: str, **more: Any) -> Ran:
        """Run a command; no token may show in what it prints."""
        ran = self.run(*words, **more)
        shown = ran.out + ran.err
        forms = [form for secret in self.issuer.secrets_given for form in forms_of(secret)]
        assert [form for form in forms if form in shown] == []
        return ran


def forms_of(secret: str) -> list[str]:
    """Return a secret as it is, and as it is in base64 behind any number of octets."""
    coded = [base64.b64encode(b"x" * n + secret.encode())[4:-4].decode() for n in range(3)]
    return [secret, *coded]
