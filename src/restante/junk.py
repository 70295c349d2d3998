"""The junk maildrop of an account: its name at the store, and in logins.

At the store its name is that of the account with NUL and "junk" after it: no account and no address
can have such a name. In a login it is a suffix of the local part, such as "ann+junk@example.com".
"""

from __future__ import annotations

_JUNK = "\0junk"
SUFFIX = "+junk"


def junk_of(account: str) -> str:
    """Return the name of an account's junk maildrop at the store."""
    return account + _JUNK


def is_junk(owner: str) -> bool:
    """Return whether a name at the store is that of a junk maildrop."""
    return owner.endswith(_JUNK)


def account_of(owner: str) -> str:
    """Return the account of a maildrop."""
    return owner.removesuffix(_JUNK)


def log_names(owner: str) -> dict[str, str]:
    """Return the keys of a log event that name a maildrop: `user`, and `maildrop` if it is junk."""
    account = account_of(owner)
    return {"user": account, "maildrop": "junk"} if is_junk(owner) else {"user": account}


def with_suffix(name: str, suffix: str) -> str:
    """Return the login name of an account's junk maildrop."""
    local, at, domain = name.rpartition("@")
    return f"{local}{suffix}@{domain}" if at else name + suffix


def without_suffix(name: str, suffix: str) -> str:
    """Return the login name of the account; the name itself if it has no suffix, or no more."""
    if not suffix:
        return name
    local, at, domain = name.rpartition("@")
    if not at:
        local, domain = domain, ""
    bare = local[: -len(suffix)] if local.lower().endswith(suffix.lower()) else ""
    return f"{bare}{at}{domain}" if bare else name
