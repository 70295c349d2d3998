"""Accounts in a file, which is read again after each change."""

from __future__ import annotations

import functools
import hmac
import os
import secrets
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from restante.auth.file import passwd_file
from restante.auth.file.account_changes import AccountChanges, Settling
from restante.auth.file.account_table import PasswdTable, read_table
from restante.auth.file_reading import SETTLE, FileReading, is_young, stamp_of
from restante.auth.interfaces import CredentialsError, UnavailableError
from restante.auth.passwords import hashing as password_hashing
from restante.auth.passwords import scram
from restante.auth.passwords.login_cache import LoginCache
from restante.auth.usernames import candidate_names
from restante.protocol.secret import Secret
from restante.quota import Quota
from restante.system_errors import explain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from restante.auth.file.hash_upgrade import HashUpgrader
    from restante.auth.file.passwd_entry import PasswdEntry
    from restante.protocol.server.settings import Identity


PAGE = 1000  # accounts that a list has in one piece


class _Reading(NamedTuple):
    """The result of a reading of the file."""

    stamp: tuple[int, ...]
    table: PasswdTable
    settling: Settling
    ended: frozenset[str]


class FileAuthenticator(FileReading[_Reading]):
    """Verifies passwords by a file of accounts.

    `warn` is called once with each fault of the file, `alarm` with the fault of a file that cannot
    be used at all. A login is cached for `remember` seconds, until the file changes. `doubts`
    yields warnings of accounts whose lines may have no effect.

    A file that is missing, unreadable or without a valid line has no permanent effect: all methods
    raise UnavailableError then. They also raise it for an invalid line, and for a name that a
    change in place has just removed, since the file may be half written. The last line of a changed
    file counts only with its end, or after the file has stayed the same for a while.
    """

    can_list = True

    def __init__(  # noqa: PLR0913  # the last three have defaults
        self,
        path: Path,
        warn: Callable[[str], None],
        remember: float = 0,
        *,
        alarm: Callable[[str], None] | None = None,
        doubts: Callable[[Collection[PasswdEntry]], Iterable[str]] = lambda _: (),
        upgrader: HashUpgrader | None = None,
        clock: Callable[[], float] = time.time,
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("the file of accounts")
        self.path = path
        self._file = os.fspath(path)
        self._warn = warn
        self._alarm = alarm or warn
        self._doubts = doubts
        self._upgrader = upgrader
        self._clock = clock  # for the end of an account, and the file's age
        self._uptime = uptime  # for the rest of a file, whatever sets the clock meanwhile
        self._problem = ""  # why it cannot be used, as last logged
        self._faults: frozenset[str] = frozenset()  # in words, as last read
        self._settling = Settling()
        self._changes = AccountChanges()
        self._ended: frozenset[str] = frozenset()  # names whose sessions must end
        self._table = PasswdTable()
        self.longest_login_delay: int | None = None  # seconds, of accounts that have their own
        self.shortest_expire_days: int | None = None  # the same
        self._read_at: tuple[int, ...] = ()
        self._threads = password_hashing.threads()
        self.at_once = password_hashing.AT_ONCE
        self._key = self._own_key = secrets.token_bytes(passwd_file.KEY)  # for unknown names
        self._remembered = LoginCache(remember)
        self._nobody = (password_hashing.hash_password(Secret(secrets.token_bytes(16))),)

    def is_current(self) -> bool:
        """Return whether the file is as it was read. Raises UnavailableError: it is missing."""
        try:
            status = os.stat(self._file)
        except OSError as error:
            raise self._cannot_use(explain(error)) from error
        if stamp_of(status) != self._read_at:
            return False
        settling = self._settling
        if settling.in_doubt and self._uptime() >= settling.ends:
            return False
        if self._table.by_name:
            self._problem = ""  # it was away for a while
        return True

    def _read(self) -> _Reading:
        """Read the file, and compare it with the earlier reading. Raises OSError.

        It changes no attribute that a login uses, so it may run in a thread.
        """
        begun, status = self._clock(), os.stat(self._file)
        stamp = stamp_of(status)
        trust = not self._read_at or stamp == self._read_at
        table = read_table(self.path, self._doubts, trust_last_line=trust)
        now = self._uptime()
        vanished = self._find_vanished(table, now, replaced=self._read_at[:1] != stamp[:1])
        ended = self._changes.find_ended(table.by_name, vanished, self._clock())
        in_doubt = table.cut is not None or self._changes.has_doubts or is_young(status, begun)
        return _Reading(stamp, table, Settling(vanished, now + SETTLE, in_doubt), ended)

    def _use(self, reading: _Reading) -> Collection[dict[str, PasswdEntry]]:
        """Use a reading from now on, and return the tables that it replaces."""
        is_first, old_table, table = not self._read_at, self._table, reading.table
        self._read_at = reading.stamp
        self._problem = ""
        self._remembered.clear()
        self._settling = reading.settling
        self._key = table.key or (self._key if table.cut is not None else self._own_key)
        self._ended |= reading.ended
        self._table = table
        self.longest_login_delay = table.longest_login_delay
        self.shortest_expire_days = table.shortest_expire_days
        for fault in table.faults:
            if fault not in self._faults:
                self._warn(fault)
        self._faults = frozenset(table.faults)
        if is_first:
            self._warn_of_weak_hashes()
        return (old_table.by_name, old_table.in_lower_case)

    def _warn_of_weak_hashes(self) -> None:
        """Warn of hashes whose passwords a thief of the file finds soon."""
        hashes = self._table.hashes
        weak = sum(map(password_hashing.is_weak, hashes))
        if weak:
            cure = "`accounts.upgrade_hashes` replaces each at the next login"
            if self._upgrader is not None:
                cure = "each is replaced at the next login"
            self._warn(f"{self.path}: {weak} of {len(hashes)} accounts have weak hashes; {cure}")

    def _find_vanished(self, table: PasswdTable, now: float, *, replaced: bool) -> frozenset[str]:
        """Return the names that a change removed, unless a whole file replaced another.

        A file may be written in many steps, the first of which makes it empty or removes it.
        """
        old_accounts = self._table.by_name
        usable = bool(old_accounts) and not self._problem
        earlier = self._settling.vanished if not usable or now < self._settling.ends else ()
        removed = set() if replaced and usable else {*old_accounts, *earlier}
        if table.cut is not None:
            removed.add(table.cut)
        return frozenset(removed - table.by_name.keys())

    def _cannot_use(self, reason: str) -> UnavailableError:
        """Return the error to raise. After the file was read once, the log gets it too, once."""
        problem = f"{self.path}: {reason}"
        if self._read_at and problem != self._problem:
            self._alarm(f"{problem}; until this is corrected, logins fail and mail waits")
        self._problem = problem
        return UnavailableError(problem)

    async def _find_account(self, user: str) -> PasswdEntry | None:
        """Return the account of a name, as the file has it now. Raises UnavailableError."""
        await self.refresh_in_thread()
        return self._find_entry(user)

    def _find_entry(self, user: str) -> PasswdEntry | None:
        """Return the account of a name. Raises UnavailableError: the file cannot be used now."""
        accounts = self._table.by_name
        if not accounts:
            cut = "its only line has no end yet" if self._table.cut is not None else ""
            raise self._cannot_use(cut or "it has no valid line")
        account = accounts.get(user) or accounts.get(user.lower())
        if account is None and self._settling.vanished:
            self._check_vanished(candidate_names(user))
        return account

    def _check_vanished(self, names: Iterable[str]) -> None:
        """Raise UnavailableError: a name was just removed, and the file may be half written."""
        for name in names:
            if name in self._settling.vanished:
                raise UnavailableError(f"{self.path}: {name!r} was removed a moment ago")

    def mechanisms(self) -> frozenset[str]:
        """Return the mechanisms that every account can use, so that none fails by its choice."""
        return self._table.mechanisms

    def mechanisms_any(self) -> frozenset[str]:
        """Return the mechanisms that at least one account can use."""
        return self._table.mechanisms_any

    async def take_ended(self) -> frozenset[str]:
        """Return the accounts whose sessions must end since the last call.

        They were removed, locked, or given other credentials. Raises UnavailableError.
        """
        await self.refresh_in_thread()
        ended, self._ended = self._ended, frozenset()
        return ended

    def accounts(self) -> list[PasswdEntry]:
        """Return all accounts as the file had them when it was last read."""
        return list(self._table.by_name.values())

    async def list_accounts(self) -> AsyncIterator[Sequence[tuple[str, int | None]]]:
        """Yield the name of each account, and its days of mail. Raises UnavailableError."""
        await self.refresh_in_thread()
        accounts = self.accounts()
        for start in range(0, len(accounts), PAGE):
            yield [
                (account.name, account.expire_days) for account in accounts[start : start + PAGE]
            ]

    async def own_quota(self, name: str) -> Quota:
        """Return the quota in the line of an account. Raises UnavailableError."""
        await self.refresh_in_thread()
        account = self._table.by_name.get(name)
        return account.quota if account else Quota()

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return the identity for a name and password, as the file has them at the end.

        Raises CredentialsError, UnavailableError.
        """
        account = await self._find_account(user)
        reason = self._hindrance(user, account)
        if account is not None and account.secret is not None:
            reason = reason or "the account logs in by its secret only"  # RFC 1939 section 13
        stored, decoy = account.hash if account and not reason else "", self._decoy(user)
        right = await self._threads.run(
            user,
            functools.partial(password_hashing.verify_normalised, stored or decoy, password),
        )
        if account is None or reason or not right:
            raise CredentialsError(reason or "wrong password")
        if await self._find_account(user) != account:  # it was changed while this was hashed
            return await self.verify(user, password)
        if self._upgrader is not None:
            self._upgrader.replace(account.name, account.hash, password)
        self._remembered.add(account.name, password)
        return account.identity

    def cached_login(self, user: str, password: Secret) -> Identity | None:
        """Return the identity of a name if its password was verified a short while ago, else None.

        None if the file has changed: `verify` reads it in a thread.
        """
        if not self.is_current():
            return None
        account = self._find_entry(user)
        if account is None or self._remembered.stored_hash(account.name, password) is None:
            return None
        may_be_locked = account.lock or account.end is not None  # one call less for each login
        if may_be_locked and account.lock_reason(self._clock()):
            return None
        return account.identity

    async def scram_keys(self, mechanism: str, user: str) -> scram.ScramKeys:
        """Return an account's keys; for an unknown name, fake keys.

        Raises UnavailableError.
        """
        account = await self._find_account(user)
        mechanism = mechanism.removesuffix("-PLUS")
        choices = self._table.scram_parameters.get(mechanism, {scram.ScramParameters()})
        # Fake keys are made for known names, too, so that the time shows no difference.
        fake = scram.fake_keys(mechanism, user.lower(), self._key, choices)
        if account is not None and mechanism in account.scram:
            return account.scram[mechanism]
        twin = self._table.in_lower_case.get(user.lower())
        if twin is None or mechanism not in twin.scram:
            return fake
        real = twin.scram[mechanism]  # another salt for Ann than for ann would give ann away
        return msgspec.structs.replace(fake, salt=real.salt, iterations=real.iterations)

    async def shared_secret(self, user: str) -> Secret:
        """Return the secret for APOP and CRAM-MD5. Raises CredentialsError, UnavailableError."""
        account = await self._find_account(user)
        reason = self._hindrance(user, account)
        if account is None or account.secret is None or reason:
            raise CredentialsError(reason or "no secret")
        return account.secret

    async def identify(self, user: str) -> Identity:
        """Return the identity of a name. Raises CredentialsError, UnavailableError."""
        account = await self._find_account(user)
        reason = self._hindrance(user, account)
        if account is None or reason:
            raise CredentialsError(reason)
        return account.identity

    async def owner(self, name: str) -> str:
        """Return the account of exactly this name. Raises CredentialsError, UnavailableError."""
        await self._find_account(name)
        if name in self._table.by_name:
            return name
        if name in self._table.useless and not passwd_file.name_problem(name):
            raise UnavailableError(f"{self.path}: the line of {name!r} is invalid")
        self._check_vanished((name,))
        raise CredentialsError("unknown name")

    def _hindrance(self, user: str, account: PasswdEntry | None) -> str:
        """Return why no login with a name can succeed, "" if one can."""
        if account is not None:
            return account.lock_reason(self._clock())
        useless = any(name in self._table.useless for name in candidate_names(user))
        return "its line is invalid" if useless else "unknown name"

    def _decoy(self, user: str) -> str:
        """Return the hash of some account, always the same one for an unknown name.

        To check it takes as long as to check some account's, whatever schemes the file mixes, so
        the time of a rejection does not reveal which names exist. A name in another case
        gets the hash of its account, because both take the same time elsewhere.
        """
        name = user.lower()
        twin = self._table.in_lower_case.get(name)
        if twin is not None and twin.hash:
            return twin.hash
        digest = hmac.digest(self._key, name.encode(errors="replace"), "sha256")
        hashes = self._table.hashes or self._nobody
        return hashes[int.from_bytes(digest[:8], "big") % len(hashes)]
