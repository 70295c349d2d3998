"""Which certificates of servers are trusted."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_NO_CERTIFICATE = "it has no valid certificate in PEM; name a file with the authorities to trust"


def create_verifying_context(cafile: Path | str | None = None) -> ssl.SSLContext:
    """Return settings that verify certificate and name against the system's trust, or a file's.

    Raises OSError: the file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=cafile)
    except ssl.SSLError:
        if cafile is None:
            raise
        raise OSError(_NO_CERTIFICATE) from None
    # From Python 3.13 on, the default rejects certificates whose form is older than RFC 5280, such
    # as those of an authority without a key identifier. Mail programs accept them, and the verdict
    # must not depend on the version of Python.
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST
    return context
