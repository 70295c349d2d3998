"""Which certificates of servers are trusted."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def create_verifying_context(cafile: Path | str | None = None) -> ssl.SSLContext:
    """Return settings that verify certificate and name against the system's trust, or a file's.

    Raises OSError or ssl.SSLError: the file cannot be used.
    """
    context = ssl.create_default_context(cafile=cafile)
    # From Python 3.13 on, the default rejects certificates whose form is older than RFC 5280, such
    # as those of an authority without a key identifier. Mail programs accept them, and the verdict
    # must not depend on the version of Python.
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST
    return context
