"""Stored passwords: argon2id for new ones, and the crypt formats that other programs wrote.

All functions here take their time on purpose: call them in a thread.
"""

from __future__ import annotations

import ctypes
import functools
import hmac
import re
from typing import TYPE_CHECKING

import argon2

from restante.auth.interfaces import UnavailableError
from restante.protocol.saslprep import saslprep
from restante.protocol.secret import Secret

if TYPE_CHECKING:
    from restante.threads import Threads

AT_ONCE = 2  # each takes 19 MiB and a core
PATIENCE = 60  # seconds that a login waits for a thread

_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # KiB
_SCHEME = re.compile(r"\{[A-Z0-9-]+\}")  # what Dovecot writes before a hash
_ARGON2 = re.compile(r"\$argon2(?:id|i|d)\$v=\d+\$m=\d+,t=\d+,p=\d+\$[\w+/]+\$[\w+/]+")
_CRYPT = re.compile(
    r"\$2[aby]\$\d\d\$[\w./]{53}"  # bcrypt
    r"|\$5\$(?:rounds=\d+\$)?[^$:]*\$[\w./]{43}"  # sha256-crypt
    r"|\$6\$(?:rounds=\d+\$)?[^$:]*\$[\w./]{86}"  # sha512-crypt
    r"|\$y\$[\w./]+\$[\w./]*\$[\w./]{43}",  # yescrypt, Debian's own
    re.ASCII,
)
_CRYPT_LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2")
_CRYPT_DATA = 256 * 1024  # octets: no less than any system's struct crypt_data


def threads() -> Threads:
    """Return threads that hash passwords. A call that finds none raises UnavailableError."""
    from restante.threads import Threads  # asyncio is slow to import, and `pop3 user` needs none

    return Threads("password hashing", UnavailableError, most=AT_ONCE, patience=PATIENCE)


def hash_password(password: Secret) -> str:
    """Return a new argon2id hash (RFC 9106): 19 MiB, 2 passes, 1 lane."""
    return _HASHER.hash(password.reveal())


def without_scheme(stored: str) -> str:
    """Return a hash without the {SCHEME} that Dovecot writes before it."""
    return _SCHEME.sub("", stored, count=1) if stored.startswith("{") else stored


def unsupported_reason(stored: str) -> str | None:
    """Return what keeps a stored hash from ever matching, in words; None for a good one."""
    bare = without_scheme(stored)
    if _ARGON2.fullmatch(bare):
        return None
    if not _CRYPT.fullmatch(bare):
        return "the hash is not argon2, bcrypt, sha256-crypt, sha512-crypt or yescrypt"
    return None if _crypt_r() else "its hash requires libcrypt, which this system does not have"


def verify(stored: str, password: Secret) -> bool:
    """Return whether the password matches a stored hash; False for an invalid hash."""
    bare = without_scheme(stored)
    if bare.startswith("$argon2"):
        try:
            return _HASHER.verify(bare, password.reveal())
        except argon2.exceptions.Argon2Error:
            return False
        except argon2.exceptions.InvalidHashError:
            return False
    return _verify_crypt(bare.encode(), password.reveal())


def verify_normalised(stored: str, password: Secret) -> bool:
    """Tell whether the password belongs to a stored hash, as it was sent or as SASLprep has it.

    The hashes of other programs are of whatever was typed. All forms are tried, even when one was
    right, so that the time reveals nothing about an unknown account.
    """
    right = [verify(stored, form) for form in _forms(password)]
    return any(right)


def _forms(password: Secret) -> list[Secret]:
    """Return the forms of a password that count. RFC 6856 section 2.2, RFC 4013."""
    octets = password.reveal()
    try:
        prepared = saslprep(octets.decode(), query=True).encode()
    except ValueError:
        return [password]
    return [password] if prepared in (octets, b"") else [password, Secret(prepared)]


def _verify_crypt(stored: bytes, password: bytes) -> bool:
    """Ask the system's crypt, which works without Python's lock, unlike the module `crypt`."""
    crypt_r = _crypt_r()
    if crypt_r is None:
        return False
    found = crypt_r(password, stored, ctypes.create_string_buffer(_CRYPT_DATA))
    same = hmac.compare_digest(found or b"", stored)
    return same and b"\0" not in password  # C sees no further than a NUL


@functools.cache
def _crypt_r() -> ctypes._NamedFuncPointer | None:
    for name in _CRYPT_LIBRARIES:
        try:
            function = ctypes.CDLL(name).crypt_r
        except (OSError, AttributeError):
            continue
        function.restype = ctypes.c_char_p
        function.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
        return function
    return None
