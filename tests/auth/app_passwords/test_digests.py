"""The digest of an app password."""

from __future__ import annotations

import hashlib

from restante.auth.app_passwords.digests import LENGTH, digest_of, key_of
from restante.protocol.secret import Secret


def test_typed_forms() -> None:
    """Dashes, spaces and capitals do not count, the number of letters does."""
    letters = b"abcd" * (LENGTH // 4)
    digest = hashlib.sha256(letters).hexdigest()
    for typed in (letters, letters.upper(), b"-".join([b"abcd"] * 6), b" abcd" * 6):
        assert digest_of(Secret(typed)) == digest
    assert digest_of(Secret(letters + b"a")) is None
    assert digest_of(Secret(b"")) is None


def test_key() -> None:
    """A key is the beginning of a digest, so it cannot be used to log in."""
    digest = digest_of(Secret(b"a" * LENGTH))
    assert digest is not None
    assert digest.startswith(key_of(digest))
    assert len(key_of(digest)) < len(digest)
