"""Stored passwords: argon2id for new ones, and the formats that other programs wrote.

The crypt library of the system verifies most of them, and `hash_schemes` the others.

The functions that hash are slow on purpose: call them in a thread.
"""

from __future__ import annotations

import ctypes
import functools
import hmac
import os
import re
from typing import TYPE_CHECKING

import argon2
from argon2.low_level import error_to_str

from restante.auth.interfaces import UnavailableError
from restante.auth.passwords.hash_schemes import StoredHash, find_digest
from restante.protocol.saslprep import saslprep
from restante.protocol.secret import Secret

if TYPE_CHECKING:
    from restante.threads import Threads

AT_ONCE = 2  # each takes 19 MiB and a core
PATIENCE = 60  # seconds that a login waits for a thread

_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # KiB
_ARGON2 = re.compile(r"\$argon2(?:id|i|d)\$v=\d+\$m=\d+,t=\d+,p=\d+\$[\w+/]+\$[\w+/]+", re.ASCII)
_CRYPT = re.compile(
    r"\$2[aby]\$\d\d\$[\w./]{53}"  # bcrypt
    r"|\$5\$(?:rounds=\d+\$)?[^$:]*\$[\w./]{43}"  # sha256-crypt
    r"|\$6\$(?:rounds=\d+\$)?[^$:]*\$[\w./]{86}"  # sha512-crypt
    r"|\$y\$[\w./]+\$[\w./]*\$[\w./]{43}",  # yescrypt, Debian's own
    re.ASCII,
)
_WEAK_CRYPT = re.compile(
    r"\$1\$[^$:]{0,8}\$[\w./]{22}",  # md5-crypt
    re.ASCII,
)
_DES_CRYPT = re.compile(r"[\w./]{13}", re.ASCII)  # only with a scheme: a password may be like it
_DES_SCHEMES = frozenset({"CRYPT", "DES-CRYPT"})
_CRYPT_LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2")
_SHORTAGES = frozenset(map(error_to_str, (-22, -33)))  # of memory, of threads: argon2.h
_NO_MEMORY = (
    "there is not enough memory to verify a password; free some, or raise `ulimit -v` or the "
    "unit's MemoryMax"
)
_MOST_MEMORY = 32 * 1024 * 1024  # octets: twice that of Debian's yescrypt
_CRYPT_DATA = 256 * 1024  # octets: no less than any system's struct crypt_data


@functools.cache
def threads() -> Threads:
    """Return the threads of this process that hash passwords, for all kinds of accounts together.

    A call that finds none raises UnavailableError.
    """
    from restante.threads import Threads  # asyncio is slow to import, and `pop3 user` needs none

    pool = Threads("password hashing", UnavailableError, most=AT_ONCE, patience=PATIENCE)
    os.register_at_fork(after_in_child=pool.begin_anew)
    return pool


def hash_password(password: Secret) -> str:
    """Return a new argon2id hash (RFC 9106): 19 MiB, 2 passes, 1 lane. Raises MemoryError."""
    try:
        return _HASHER.hash(password.reveal())
    except argon2.exceptions.HashingError as error:
        raise MemoryError(str(error)) from error


def unsupported_reason(stored: str) -> str | None:
    """Return why a stored hash never matches, in words; None for a valid one."""
    parsed = StoredHash.parse(stored)
    if _ARGON2.fullmatch(parsed.value) or find_digest(parsed):
        return None
    if not _is_crypt(parsed):
        return "its hash is not argon2, bcrypt, sha512-crypt or of another supported scheme"
    return None if _crypt_r() else "its hash requires libcrypt, which this system does not have"


def is_weak(stored: str) -> bool:
    """Return whether the password can be found soon by a thief of a hash that is supported."""
    parsed = StoredHash.parse(stored)
    is_strong = _ARGON2.fullmatch(parsed.value) or _CRYPT.fullmatch(parsed.value)
    return not is_strong or find_digest(parsed) is not None


def cost_of(stored: str) -> str:
    """Return the kind of a hash, never "". Two hashes of a kind are verified in the same time."""
    parsed = StoredHash.parse(stored)
    if digest := find_digest(parsed):
        return digest.cost
    if parsed.value.startswith("$2"):  # bcrypt: no "$" is between salt and digest
        return parsed.value.rpartition("$")[0]
    return "$".join(parsed.value.split("$")[:-2]) or "DES"


def verify(stored: str, password: Secret) -> bool:
    """Return whether the password matches a stored hash; False for an invalid hash.

    Raises UnavailableError: there is too little memory. The password may be right.
    """
    parsed = StoredHash.parse(stored)
    if digest := find_digest(parsed):
        return digest.matches(password.reveal())
    if _ARGON2.fullmatch(parsed.value):
        try:
            return _HASHER.verify(parsed.value, password.reveal())
        except (argon2.exceptions.Argon2Error, argon2.exceptions.InvalidHashError) as error:
            if str(error) in _SHORTAGES:
                raise UnavailableError(_NO_MEMORY) from error
            return False
    octets = parsed.value.encode(errors="surrogateescape")
    return _is_crypt(parsed) and _verify_crypt(octets, password.reveal())


def _is_crypt(stored: StoredHash) -> bool:
    """Return whether the crypt library of the system can verify a hash."""
    if stored.scheme in _DES_SCHEMES and _DES_CRYPT.fullmatch(stored.value):
        return True
    return bool(_CRYPT.fullmatch(stored.value) or _WEAK_CRYPT.fullmatch(stored.value))


def verify_normalised(stored: str, password: Secret) -> bool:
    """Return whether the password belongs to a stored hash, as it was sent or as SASLprep has it.

    The hashes of other programs are of whatever was typed. All forms are tried, even when one was
    right, so that the time reveals nothing about an unknown account.
    """
    matches = [verify(stored, form) for form in _forms(password)]
    return any(matches)


def hash_anew(stored: str, password: Secret) -> str | None:
    """Return a new hash of the form of a password that a stored hash is of; None if of none.

    Raises UnavailableError: there is too little memory.
    """
    form = next((form for form in _forms(password) if verify(stored, form)), None)
    try:
        return None if form is None else hash_password(form)
    except MemoryError:
        raise UnavailableError(_NO_MEMORY) from None


def _forms(password: Secret) -> list[Secret]:
    """Return the forms of a password that count. RFC 6856 section 2.2, RFC 4013."""
    octets = password.reveal()
    try:
        prepared = saslprep(octets.decode(), query=True).encode()
    except ValueError:
        return [password]
    return [password] if prepared in (octets, b"") else [password, Secret(prepared)]


def _verify_crypt(stored: bytes, password: bytes) -> bool:
    """Ask the system's crypt, which works without Python's lock, unlike the module `crypt`.

    Raises UnavailableError: there is too little memory.
    """
    crypt_r = _crypt_r()
    if crypt_r is None:
        return False
    computed = crypt_r(password, stored, ctypes.create_string_buffer(_CRYPT_DATA))
    if computed is None or computed.startswith(b"*"):  # crypt(5): it failed, and does not say why
        _require_memory()
    is_equal = hmac.compare_digest(computed or b"", stored)
    return is_equal and b"\0" not in password  # C sees no further than a NUL


def _require_memory() -> None:
    """Raise UnavailableError: there is too little memory for a yescrypt hash."""
    try:
        bytes(_MOST_MEMORY)
    except MemoryError:
        raise UnavailableError(_NO_MEMORY) from None


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
