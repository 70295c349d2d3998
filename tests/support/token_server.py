"""A real server that accepts the tokens of a test's issuer, over TLS."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from restante.auth.passwords import hashing as password_hashing
from restante.protocol.secret import Secret
from support.issuer import Issuer
from support.process import serving_tls

CONFIG = """\
[tokens]
jwks = "{folder}/jwks.json"
audience = "pop3"
"""


@dataclass(frozen=True)
class TokenServer:
    """A running server."""

    port: int
    authority: Path  # what its certificate is verified by

    def url(self, user: str) -> str:
        return f"pop3s://{user}@localhost:{self.port}"

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)


@contextlib.contextmanager
def token_serving(folder: Path, issuer: Issuer, *users: str) -> Iterator[TokenServer]:
    """Serve the mail of users. They log in by the tokens of an issuer."""
    (folder / "jwks.json").write_text(json.dumps(issuer.jwks()))
    stored = password_hashing.hash_password(Secret(b"unused"))
    (folder / "users").write_text("".join(f"{user}:{stored}\n" for user in users))
    with serving_tls(folder, CONFIG.format(folder=folder)) as running:
        yield TokenServer(running.tls_port, folder / "certificate.pem")
