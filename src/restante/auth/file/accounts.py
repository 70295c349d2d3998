"""Accounts in a file, read again whenever it changes."""

from __future__ import annotations

import dataclasses
import functools
import hmac
import os
import secrets
import time
from typing import TYPE_CHECKING

from restante.auth.file import passwd_file
from restante.auth.file.account_changes import AccountChanges
from restante.auth.interfaces import PASSWORDS, CredentialsError, UnavailableError
from restante.auth.passwords import hashing as password_hashing
from restante.auth.passwords import scram
from restante.auth.passwords.login_cache import LoginCache
from restante.auth.usernames import candidate_names
from restante.protocol.secret import Secret
from restante.quota import Quota
from restante.system_errors import explain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from restante.auth.file.hash_upgrade import HashUpgrader
    from restante.auth.file.passwd_entry import PasswdEntry
    from restante.protocol.server.settings import Identity


SETTLE = 10.0  # seconds for which a name that was removed in place may still come back
NO_KEY = (
    "it has no line #decoys=, so SCRAM replies to unknown names change at each restart, which "
    "reveals the names of accounts; `pop3 user passwd` adds the line"
)


class FileAuthenticator:
    """Proves passwords by a file of accounts.

    `warn` is called once with words about each fault of the file, `alarm` with words about a file
    of which nothing can be used. A login is remembered for `remember` seconds, and forgotten at
    once when the file changes. `doubts` describes accounts that may not get what their lines say.

    Nothing permanent follows from a file that is missing, unreadable or without a usable line: all
    methods raise UnavailableError then. The same holds for a line that cannot be used, and for a
    name that a change in place has just removed, since the file may be half written. The last line
    of a changed file counts only with its end, or after the file has stayed the same for a while.
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
    ) -> None:
        self.path = path
        self._file = os.fspath(path)
        self._warn = warn
        self._alarm = alarm or warn
        self._doubts = doubts
        self._upgrader = upgrader
        self._clock = clock
        self._problem = ""  # why it cannot be used, as last logged
        self._faults: frozenset[str] = frozenset()  # in words, as last read
        self._vanished: frozenset[str] = frozenset()  # names, until they are surely meant to be
        self._vanished_until = 0.0
        self._changes = AccountChanges()
        self._ended: frozenset[str] = frozenset()  # names whose sessions must end
        self._has_cut_line = False  # the last line had no end, and was left out
        self._accounts: dict[str, PasswdEntry] = {}
        self._in_lower_case: dict[str, PasswdEntry] = {}
        self._useless: frozenset[str] = frozenset()
        self._mechanisms = self._mechanisms_any = PASSWORDS
        self.longest_login_delay: int | None = None  # seconds, of accounts that have their own
        self.shortest_expire_days: int | None = None  # the same
        self._read_at: tuple[int, ...] = ()
        self._threads = password_hashing.threads()
        self.at_once = (
            password_hashing.AT_ONCE
        )  # passwords; a server has those that wait take turns
        self._key = self._own_key = secrets.token_bytes(passwd_file.KEY)  # for unknown names
        self._scram_parameters: dict[str, set[scram.ScramParameters]] = {}  # of keys, by mechanism
        self._remembered = LoginCache(remember)
        self._nobody = password_hashing.hash_password(Secret(secrets.token_bytes(16)))
        self._hashes: tuple[str, ...] = ()  # to check in place of those of unknown names

    def refresh(self) -> None:
        """Read the file if it has changed. Raises UnavailableError: it cannot be read."""
        try:
            status = os.stat(self._file)
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            settled = stamp == self._read_at
            is_due = self._has_cut_line and self._clock() >= self._vanished_until
            if settled and not is_due:
                if self._accounts:
                    self._problem = ""  # it was away for a while
                return
            trust = settled or not self._read_at
            accounts = passwd_file.read(self.path, trust_last_line=trust)
        except OSError as error:
            raise self._cannot_use(explain(error)) from error
        self._note_vanished(accounts, replaced=self._read_at[:1] != stamp[:1])
        self._has_cut_line = accounts.cut is not None
        first, self._read_at = not self._read_at, stamp
        self._problem = ""
        self._remembered.clear()
        self._accounts = accounts.by_name
        self._key = accounts.key or (self._key if self._has_cut_line else self._own_key)
        self._in_lower_case = {name.lower(): a for name, a in accounts.by_name.items()}
        hashes = (account.hash for account in accounts.by_name.values())
        self._hashes = tuple(filter(None, hashes)) or (self._nobody,)
        self._useless = accounts.useless
        self._ended |= self._find_ended()
        self._note_offers()
        faults = list(self._find_faults(accounts))
        for fault in faults:
            if fault not in self._faults:
                self._warn(fault)
        self._faults = frozenset(faults)
        if first:
            self._warn_of_weak_hashes()

    def _find_faults(self, accounts: passwd_file.PasswdFile) -> Iterator[str]:
        """Yield in words what is wrong with the file, as it was just read."""
        if self._scram_parameters and not accounts.key and not self._has_cut_line:
            yield f"{self.path}: {NO_KEY}"
        for doubt in self._doubts(self._accounts.values()):
            yield f"{self.path}: {doubt}"
        yield from accounts.problems

    def _warn_of_weak_hashes(self) -> None:
        """Warn of hashes whose passwords a thief of the file finds soon."""
        hashes = [account.hash for account in self._accounts.values() if account.hash]
        weak = sum(map(password_hashing.is_weak, hashes))
        if weak:
            cure = "`accounts.upgrade_hashes` replaces each at the next login"
            if self._upgrader is not None:
                cure = "each is replaced at the next login"
            self._warn(f"{self.path}: {weak} of {len(hashes)} accounts have weak hashes; {cure}")

    def _note_vanished(self, accounts: passwd_file.PasswdFile, *, replaced: bool) -> None:
        """Note the names that a change removed, unless a whole file replaced another.

        A file may be written in many steps, the first of which makes it empty or removes it.
        """
        now, usable = self._clock(), bool(self._accounts) and not self._problem
        earlier = self._vanished if not usable or now < self._vanished_until else ()
        gone = set() if replaced and usable else {*self._accounts, *earlier}
        if accounts.cut is not None:
            gone.add(accounts.cut)
        self._vanished = frozenset(gone - accounts.by_name.keys())
        self._vanished_until = now + SETTLE

    def _cannot_use(self, reason: str) -> UnavailableError:
        """Return the error to raise. After the file was read once, the log gets it too, once."""
        problem = f"{self.path}: {reason}"
        if self._read_at and problem != self._problem:
            self._alarm(f"{problem}; until this is corrected, logins fail and mail waits")
        self._problem = problem
        return UnavailableError(problem)

    def _note_offers(self) -> None:
        """Note what can be offered, and what the answers for unknown names must be like."""
        able = [a for a in self._accounts.values() if not a.lock]
        self._mechanisms = PASSWORDS | {
            mechanism
            for mechanism in scram.HASHES
            if able and all(mechanism in a.scram for a in able)
        }
        self._scram_parameters = {
            mechanism: {scram.ScramParameters.from_keys(a.scram[mechanism]) for a in having}
            for mechanism in scram.HASHES
            if (having := [a for a in self._accounts.values() if mechanism in a.scram])
        }
        self._mechanisms_any = PASSWORDS.union(self._scram_parameters)
        delays = (a.login_delay for a in self._accounts.values())
        self.longest_login_delay = max((d for d in delays if d is not None), default=None)
        days = (a.expire_days for a in self._accounts.values())
        self.shortest_expire_days = min((d for d in days if d is not None), default=None)

    def _find_entry(self, user: str) -> PasswdEntry | None:
        """Return the account of a name. Raises UnavailableError: the file cannot be used now."""
        self.refresh()
        if not self._accounts:
            cut = "its only line has no end yet" if self._has_cut_line else ""
            raise self._cannot_use(cut or "it has no valid line")
        account = self._accounts.get(user) or self._accounts.get(user.lower())
        if account is None and self._vanished:
            self._check_vanished(candidate_names(user))
        return account

    def _check_vanished(self, names: Iterable[str]) -> None:
        """Raise UnavailableError: a name was there a moment ago, and the file may be half there."""
        if self._clock() >= self._vanished_until:
            self._vanished = frozenset()
        for name in names:
            if name in self._vanished:
                raise UnavailableError(f"{self.path}: {name!r} was removed a moment ago")

    def mechanisms(self) -> frozenset[str]:
        """Return the mechanisms that every account can use, so that none fails by its choice."""
        return self._mechanisms

    def mechanisms_any(self) -> frozenset[str]:
        """Return the mechanisms that at least one account can use."""
        return self._mechanisms_any

    def take_ended(self) -> frozenset[str]:
        """Return the accounts whose sessions must end since the last call.

        They were removed, locked, or given other credentials. Raises UnavailableError.
        """
        self.refresh()
        ended = self._ended | self._find_ended()
        self._ended = frozenset()
        return ended

    def _find_ended(self) -> frozenset[str]:
        """Compare with what was read before: the next change may undo what a login reads now."""
        now = self._clock()
        in_doubt = self._vanished if now < self._vanished_until else frozenset[str]()
        return self._changes.find_ended(self._accounts, in_doubt, now)

    def accounts(self) -> list[PasswdEntry]:
        """Return all accounts as the file had them when it was last read."""
        return list(self._accounts.values())

    async def list_accounts(self) -> AsyncIterator[Sequence[tuple[str, int | None]]]:
        """Yield the name of each account, and its days of mail. Raises UnavailableError."""
        self.refresh()
        yield [(account.name, account.expire_days) for account in self.accounts()]

    async def own_quota(self, name: str) -> Quota:
        """Return the quota in the line of an account. Raises UnavailableError."""
        self.refresh()
        account = self._accounts.get(name)
        return account.quota if account else Quota()

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return whose name and password these are. Raises CredentialsError, UnavailableError."""
        account = self._find_entry(user)
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
        if self._upgrader is not None:
            self._upgrader.replace(account.name, account.hash, password)
        if self._accounts.get(account.name) is account:  # it did not change while it was hashed
            self._remembered.add(account.name, password)
        return account.identity

    def cached_login(self, user: str, password: Secret) -> Identity | None:
        """Return whose these are where that was proved a short while ago, else None."""
        account = self._find_entry(user)
        if account is None or self._remembered.stored_hash(account.name, password) is None:
            return None
        if account.lock_reason(self._clock()):
            return None
        return account.identity

    async def scram_keys(self, mechanism: str, user: str) -> scram.ScramKeys:
        """Return an account's keys; for an unknown name, fake keys.

        Raises UnavailableError.
        """
        account = self._find_entry(user)
        mechanism = mechanism.removesuffix("-PLUS")
        choices = self._scram_parameters.get(mechanism, {scram.ScramParameters()})
        fake = scram.fake_keys(mechanism, user.lower(), self._key, choices)  # for known names too:
        if account is not None and mechanism in account.scram:  # time must not tell them apart
            return account.scram[mechanism]
        twin = self._in_lower_case.get(user.lower())
        if twin is None or mechanism not in twin.scram:
            return fake
        real = twin.scram[mechanism]  # another salt for Ann than for ann would give ann away
        return dataclasses.replace(fake, salt=real.salt, iterations=real.iterations)

    async def shared_secret(self, user: str) -> Secret:
        """Return what APOP and CRAM-MD5 prove. Raises CredentialsError, UnavailableError."""
        account = self._find_entry(user)
        reason = self._hindrance(user, account)
        if account is None or account.secret is None or reason:
            raise CredentialsError(reason or "no secret")
        return account.secret

    async def identify(self, user: str) -> Identity:
        """Return whose name this is. Raises CredentialsError, UnavailableError."""
        account = self._find_entry(user)
        reason = self._hindrance(user, account)
        if account is None or reason:
            raise CredentialsError(reason)
        return account.identity

    async def owner(self, name: str) -> str:
        """Return the account of exactly this name. Raises CredentialsError, UnavailableError."""
        self._find_entry(name)
        if name in self._accounts:
            return name
        if name in self._useless and not passwd_file.name_problem(name):
            raise UnavailableError(f"{self.path}: the line of {name!r} is invalid")
        self._check_vanished((name,))
        raise CredentialsError("unknown name")

    def _hindrance(self, user: str, account: PasswdEntry | None) -> str:
        """Return why no login with a name can succeed, "" if one can."""
        if account is not None:
            return account.lock_reason(self._clock())
        useless = any(name in self._useless for name in candidate_names(user))
        return "its line is invalid" if useless else "unknown name"

    def _decoy(self, user: str) -> str:
        """Return the hash of some account, always the same one for an unknown name.

        To check it takes as long as to check some account's, whatever schemes the file mixes, so
        the time of a rejection does not reveal which names exist. A name in another case
        gets the hash of its account, because both take the same time elsewhere.
        """
        name = user.lower()
        twin = self._in_lower_case.get(name)
        if twin is not None and twin.hash:
            return twin.hash
        digest = hmac.digest(self._key, name.encode(errors="replace"), "sha256")
        return self._hashes[int.from_bytes(digest[:8], "big") % len(self._hashes)]
