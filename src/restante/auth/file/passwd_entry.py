"""One line of the file of accounts."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

import msgspec

from restante.auth.file import locks
from restante.auth.file.dovecot_fields import parse_extra_fields
from restante.auth.file.locks import EXTRAS, SHADOW_LOCK
from restante.auth.file.mail_location import MailLocation, find_mail_location
from restante.auth.file.quota_fields import find_quota
from restante.auth.file.shadow_dates import expiry_time, is_shadow
from restante.auth.passwords import hashing as password_hashing
from restante.auth.passwords import scram
from restante.auth.passwords.hash_schemes import strip_spaces
from restante.protocol.saslprep import saslprep
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from restante.quota import Quota

NO_QUOTA = Quota()
NO_KEYS: Mapping[str, scram.ScramKeys] = {}  # of most accounts, which share it

_share_identity = functools.lru_cache(maxsize=4096)(Identity)  # each poll has the same one


class PasswdEntry(msgspec.Struct, frozen=True, gc=False):
    """An account, its password as a hash, and what holds for it alone.

    The garbage collector ignores it. A search of 200,000 of them would stop the server for long.
    """

    name: str
    hash: str  # empty for one that logs in by its secret alone, or not at all
    scram: Mapping[str, scram.ScramKeys] = msgspec.field(default_factory=dict)  # by mechanism
    secret: Secret | None = None  # for APOP and CRAM-MD5, which are its only ways then
    login_delay: int | None = None  # seconds
    expire_days: int | None = None
    tls_required: bool = False
    lock: str = ""  # the lock of its logins, such as a word of Dovecot; it gets mail
    end: float | None = None  # when it expires, in seconds since 1970; it gets mail
    networks: tuple[str, ...] = ()  # from where it can log in, () for everywhere
    mail: MailLocation | None = None  # where Dovecot would look for its mail
    quota: Quota = NO_QUOTA  # of its own

    def lock_reason(self, now: float) -> str:
        """Return why the account is locked at a time, "" if it is not."""
        if self.lock:
            return f"locked by {self.lock}"
        return "expired" if self.end is not None and now >= self.end else ""

    @property
    def identity(self) -> Identity:
        """The account, as a session knows it."""
        return _share_identity(
            self.name, self.login_delay, self.expire_days, self.tls_required, self.networks
        )

    @classmethod
    def parse(cls, line: str) -> PasswdEntry:
        """Read a line. Raises ValueError: what is wrong with it, in words."""
        name, stored, *others = line.split(":", EXTRAS)
        stored = strip_spaces(stored)
        extras = parse_extra_fields(others)
        secret, word = extras.get("secret"), locks.login_restriction(others)
        lock = word.key if word else locks.HASH if locks.is_locked_hash(stored) else ""
        problem = password_hashing.unsupported_reason(stored)
        if problem and not secret and not lock:
            raise ValueError(problem)
        return cls(
            name,
            "" if problem else stored,
            {m: _keys(extras[m.lower()]) for m in scram.HASHES if m.lower() in extras} or NO_KEYS,
            _secret(secret) if secret else None,
            _number(extras, "login_delay"),
            _number(extras, "expire_days", least=1),
            _tls(extras),
            lock,
            expiry_time(others),
            locks.find_networks(others),
            find_mail_location(name, others),
            find_quota(extras),
        )


def replace_credentials(line: str, stored: str, keys: Mapping[str, scram.ScramKeys]) -> str:
    """Return a line with another password's hash and keys; all else stays, such as a lock.

    A line of /etc/shadow gets no keys: a date stands in their place. The lock there is a "!" before
    the hash; without a hash, it only says that there is no password.
    """
    name, _, after_name = line.partition(":")
    old_hash, *others = after_name.split(":", EXTRAS - 1)
    if is_shadow(others):
        is_locked = old_hash.startswith(SHADOW_LOCK) and old_hash.strip(f"{SHADOW_LOCK}*")
        return ":".join([name, f"{SHADOW_LOCK if is_locked else ''}{stored}", *others])
    extras = others[EXTRAS - 2].split() if len(others) > EXTRAS - 2 else []
    words = [word for word in extras if not word.startswith("scram-")]
    words += [f"{mechanism.lower()}={value}" for mechanism, value in keys.items()]
    fields = [name, stored, *others[: EXTRAS - 2]]
    if words or len(others) >= EXTRAS - 1:
        fields += [""] * (EXTRAS - len(fields))
        fields.append(" ".join(words))
    return ":".join(fields)


def _keys(text: str) -> scram.ScramKeys:
    try:
        return scram.ScramKeys.parse(text)
    except ValueError:
        raise ValueError("its SCRAM keys are invalid; `pop3 user passwd` writes new ones") from None


def _secret(text: str) -> Secret:
    """Prepare what APOP and CRAM-MD5 prove. RFC 6856 section 2.2: a stored string."""
    try:
        return Secret(saslprep(text).encode())
    except ValueError:
        raise ValueError("its secret has characters that SASLprep (RFC 4013) prohibits") from None


def _number(extras: Mapping[str, str], key: str, least: int = 0) -> int | None:
    if key not in extras:
        return None
    if not re.fullmatch("[0-9]{1,9}", extras[key]) or int(extras[key]) < least:
        raise ValueError(f"{key} is not a number of at least {least}")
    return int(extras[key])


def _tls(extras: Mapping[str, str]) -> bool:
    if extras.get("tls", "required") != "required":
        raise ValueError('the only value of tls is "required"')
    return "tls" in extras
