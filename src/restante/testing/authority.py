"""The authority that signs the certificates of servers for tests."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
"""The variables that OpenSSL and Python, requests, curl and Node.js read."""


class TrustedAuthority:
    """The authority of all servers of this process that have TLS.

    Attributes:
        file: a PEM file with its certificate.
    """

    def __init__(self) -> None:
        from restante.misbehave.certificates import authority_file

        self.file: Path = authority_file()

    @property
    def context(self) -> ssl.SSLContext:
        """A new context for clients, which trusts the authority and no other."""
        from restante.net.tls_trust import create_verifying_context

        return create_verifying_context(self.file)

    @contextlib.contextmanager
    def set_trusted(self) -> Iterator[Path]:
        """Let programs that start within the block trust it, by variables of the environment."""
        before = {name: os.environ.get(name) for name in VARIABLES}
        os.environ.update(dict.fromkeys(VARIABLES, os.fspath(self.file)))
        try:
            yield self.file
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)  # the block may have taken it away
                else:
                    os.environ[name] = value
