"""Finds names in doubt, and sessions that must end, after a change of the file of accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from restante.auth.passwords.hashing import is_weak

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from restante.auth.file.passwd_entry import PasswdEntry


class Settling(NamedTuple):
    """The time after a change in which the file may be half written, or change unseen.

    Attributes:
        vanished: names that the change removed, and that may still come back.
        ends: the end of this time, by time.monotonic().
        in_doubt: the file counts as it is then, or has changed unseen, so it must be read again.
    """

    vanished: frozenset[str] = frozenset()
    ends: float = 0.0
    in_doubt: bool = False


class AccountChanges:
    """Compares the accounts of a file with those of the call before."""

    def __init__(self) -> None:
        self._before: Mapping[str, PasswdEntry] | None = None
        self._compared: tuple[Mapping[str, PasswdEntry], bool] | None = None

    @property
    def has_doubts(self) -> bool:
        """Whether accounts that were in doubt at the last call are to be compared again."""
        return self._compared is not None and self._compared[1]

    def find_ended(
        self, accounts: Mapping[str, PasswdEntry], in_doubt: Collection[str], now: float
    ) -> frozenset[str]:
        """Return the accounts that were removed, locked, or given other credentials.

        Those `in_doubt` may still come back; they are compared by a later call. `now` is in seconds
        since 1970. The first call returns none.
        """
        if self._compared is not None and self._compared[0] is accounts and not self.has_doubts:
            return frozenset()
        old_accounts = accounts if self._before is None else self._before
        ended = frozenset(
            name
            for name, entry in old_accounts.items()
            if name not in in_doubt and _must_end(entry, accounts.get(name), now)
        )
        doubtful = {name: old_accounts[name] for name in in_doubt if name in old_accounts}
        self._before = {**doubtful, **accounts}
        self._compared = (accounts, bool(doubtful))
        return ended


def _must_end(before: PasswdEntry, after: PasswdEntry | None, now: float) -> bool:
    """Return whether sessions of an account must end; `now` is in seconds since 1970."""
    if after is None:
        return True
    if after.lock_reason(now) and not before.lock_reason(now):
        return True
    if _secret_of(before) != _secret_of(after):
        return True
    return before.hash != after.hash and not _is_upgrade(before, after)


def _secret_of(entry: PasswdEntry) -> bytes:
    return entry.secret.reveal() if entry.secret is not None else b""


def _is_upgrade(before: PasswdEntry, after: PasswdEntry) -> bool:
    """Return whether the same password was hashed by a better scheme, as a login may do it."""
    replaced = is_weak(before.hash) and not is_weak(after.hash)
    return replaced and before.scram == after.scram
