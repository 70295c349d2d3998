"""The servers of these tests, as the checks see them."""

from __future__ import annotations

from restante.client.tls import unverified_context
from restante.conformance.raw_connection import ServerUnderTest


def ann_at(port: int) -> ServerUnderTest:
    """Return the account of ann at a server of this machine, without TLS."""
    return ServerUnderTest(
        "127.0.0.1", port, "none", unverified_context(), "localhost", "ann", "hunter22"
    )
