"""Which certificates of servers are trusted."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")  # the name by which OpenSSL finds an authority
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


def has_authorities(context: ssl.SSLContext) -> bool:
    """Return whether the system's trust has an authority. A container often has none.

    The folders of authorities are read by OpenSSL only as far as a certificate requires it.
    """
    if context.get_ca_certs():
        return True
    paths = ssl.get_default_verify_paths()
    folders = os.environ.get(paths.openssl_capath_env, paths.openssl_capath)
    for folder in folders.split(os.pathsep):
        with contextlib.suppress(OSError):
            if any(map(_HASHED.fullmatch, os.listdir(folder))):
                return True
    return False
