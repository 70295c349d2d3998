"""Accounts in a database, found by the administrator's own query."""

from __future__ import annotations

import asyncio
import functools
import hmac
import secrets
from typing import TYPE_CHECKING, Any

from restante.auth.account_rows import KeptQuotas, SkippedAccounts, read_number
from restante.auth.file.locks import HASH, is_locked_hash
from restante.auth.interfaces import (
    UNLIKELY_NAME,
    CredentialsError,
    UnavailableError,
    UncertainError,
)
from restante.auth.password_only import PasswordOnlyAccounts
from restante.auth.passwords import hashing as password_hashing
from restante.auth.passwords.login_cache import LoginCache
from restante.auth.row_locks import find_row_networks, first_row_lock
from restante.auth.usernames import candidate_names
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from restante.quota import Quota

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence

    from restante.auth.sql.hash_upgrade import SqlHashUpgrader
    from restante.auth.sql.queries import AccountQueries

PATIENCE = 5  # seconds for all answers of the database that one login needs
CANARIES = 3  # names found last; one is looked up again if a name is not found
KINDS = 16  # of hashes, one of each kept


class DecoyHashes:
    """Hashes to verify in place of those of unknown names, so that these cost the same time."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        # One hash of each kind that was seen; until then, one of no account.
        self._hashes = {"": password_hashing.hash_password(Secret(b"nobody"))}

    def note(self, stored: str) -> None:
        """Keep one hash of each kind, such as argon2 with these costs."""
        kind = password_hashing.cost_of(stored)
        if kind not in self._hashes and len(self._hashes) <= KINDS:
            self._hashes.pop("", None)
            self._hashes[kind] = stored

    def for_user(self, user: str) -> str:
        """Return some account's hash, the same for a name as long as no new kind was seen."""
        name = user.lower().encode(errors="replace")
        kind = max(
            self._hashes, key=lambda kind: hmac.digest(self._key, kind.encode() + name, "md5")
        )
        return self._hashes[kind]


class SqlAuthenticator(PasswordOnlyAccounts):
    """Proves passwords by the hash that a query finds.

    The query gets the user's name: as it was said, then in lower case. It returns at most one row
    with `password`, a hash such as a file of accounts has, and, where the account's name is
    another, `name`. A column that is named as a lock of Dovecot's, such as `nologin`, locks the
    account where it is not NULL; so does a hash with "!" or "*" before it. `allow_nets` restricts
    logins to some networks, and locks only with an invalid value. A query for all names at
    once says in `login` to which of them a row belongs.

    A login is remembered for `remember` seconds, together with the hash that proved it. The next
    login asks the database for the row again, but hashes nothing if the hash is the same. So a new
    password, a lock or a removal counts at the next login, whichever program or node made it.

    A query that finds no account, not even the last ones, is a fault and proves nothing, unless
    `check` returns a row. That is a query without parameters for whether there are accounts. It is
    asked while no name was found, and after the names that were found last have been removed.

    The columns `login_delay`, `expire_days`, `quota_octets` and `quota_messages` are those of an
    account that has its own. `list_all` is a query without parameters for the `name`, and possibly
    `expire_days`, of each account.
    """

    def __init__(
        self,
        queries: AccountQueries[Any],
        check: str | None = None,
        remember: float = 0,
        *,
        list_all: str | None = None,
        upgrader: SqlHashUpgrader | None = None,
    ) -> None:
        self._queries = queries
        self._upgrader = upgrader
        self._check = check
        self._list_all = list_all
        self.can_list = list_all is not None
        self._threads = password_hashing.threads()
        self.at_once = password_hashing.AT_ONCE
        self._decoys = DecoyHashes()
        self._remembered = LoginCache(remember)
        self._found: dict[str, None] = {}  # names that were found last
        self._quotas = KeptQuotas(queries.database)

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return the identity of a name and a password, as the row has them at the end.

        An unknown name costs the work that some known one does, always the same one's. Raises
        CredentialsError, UnavailableError.
        """
        ends = deadline()
        name, row = await self._find(candidate_names(user), ends)
        stored = str(row["password"]) if row else ""
        reason = find_hindrance(row)
        if not reason and password_hashing.unsupported_reason(stored) is not None:
            reason = "its hash is not supported"
        if not reason:
            self._decoys.note(stored)
        stored_hash = self._decoys.for_user(user) if reason else stored
        verification = self._threads.run(
            user, functools.partial(password_hashing.verify_normalised, stored_hash, password)
        )
        right, _ = await asyncio.gather(verification, self._check_query(row, ends))
        if row is None or reason or not right:
            raise CredentialsError(reason or "wrong password")
        identity = await self._confirm(user, stored)
        if identity is None:  # it was changed while this was hashed, which may wait a minute
            return await self.verify(user, password)
        self._remembered.add(user.lower(), password, stored)
        if self._upgrader is not None:
            self._upgrader.replace(self._queries, name, stored, password)
        return identity

    def cached_login(self, user: str, password: Secret) -> Awaitable[Identity | None] | None:
        """Return whose these are where that was proved a short while ago and still holds."""
        stored = self._remembered.stored_hash(user.lower(), password)
        return None if stored is None else self._confirm(user, stored)

    async def _confirm(self, user: str, stored: str) -> Identity | None:
        """Return whose name this is while its hash is the one that proved the password."""
        name, row = await self._find(candidate_names(user), deadline())
        if row is None or find_hindrance(row) or row["password"] != stored:
            return None
        return self._identify(name, row)

    async def identify(self, user: str) -> Identity:
        """Return the identity of a name. Raises CredentialsError, UnavailableError."""
        ends = deadline()
        name, row = await self._find(candidate_names(user), ends)
        await self._check_query(row, ends)
        reason = find_hindrance(row)
        if row is None or reason:
            raise CredentialsError(reason)
        return self._identify(name, row)

    async def recheck(self, user: str) -> Identity:
        """Look up a user with a session. Raises CredentialsError, UnavailableError."""
        return await self.identify(user)

    async def owner(self, name: str) -> str:
        """Return the account of exactly this name. Raises CredentialsError, UnavailableError."""
        return await self.first_owner([name])

    async def first_owner(self, names: Sequence[str]) -> str:
        """Return the account of the first of exactly these names that has one.

        Raises CredentialsError, UnavailableError.
        """
        ends = deadline()
        name, row = await self._find(names, ends, first_only=True)
        await self._check_query(row, ends)
        if not row:
            raise CredentialsError("unknown name")
        self._quotas.keep(_name(name, row), row)
        return _name(name, row)

    async def own_quota(self, name: str) -> Quota:
        """Return the quota of an account: that of its row, as it was last found.

        The look-up of a recipient has just found it. Raises UnavailableError.
        """
        quota = self._quotas.get(name)
        if quota is not None:
            return quota
        _, row = await self._find([name], deadline())
        return self._quotas.keep(name, row) if row else Quota()

    async def list_accounts(self) -> AsyncIterator[Sequence[tuple[str, int | None]]]:
        """Yield at most 1000 accounts at once: the name, and its days of mail.

        Raises UnavailableError; UnreadableAccountError after all accounts that can be read.
        """
        assert self._list_all is not None, "can_list"
        skipped, last = SkippedAccounts(), ""
        while rows := await self._queries.next_page(self._list_all, last, deadline()):
            listed = []
            for row in rows:
                last = str(row["name"])
                with skipped.skip_unreadable(last):
                    listed.append((last, self._number(row, "expire_days", least=1)))
            yield listed
        skipped.report()

    async def try_source(self) -> None:
        """Run each query once. Raises UnavailableError: one does not work."""
        ends = deadline()
        await self._queries.find([UNLIKELY_NAME], ends)
        if self._check is not None:
            await self._check_query(None, ends)
        if self._list_all is not None:
            await self._queries.next_page(self._list_all, "", ends)

    async def aclose(self) -> None:
        """Close the connections to the database."""
        await self._queries.aclose()

    def _identify(self, user: str, row: Mapping[str, object]) -> Identity:
        """Return what a session should know, and note what CAPA announces for all accounts.

        Raises UnavailableError.
        """
        delay = self._number(row, "login_delay")
        days = self._number(row, "expire_days", least=1)
        self.note_limits(delay, days)
        return Identity(_name(user, row), delay, days, networks=find_row_networks(row))

    async def _find(
        self, names: Sequence[str], ends: float, *, first_only: bool = False
    ) -> tuple[str, Mapping[str, object] | None]:
        """Return the first of the names that has an account, and its row.

        Known or not, a name costs the same queries, but not with `first_only`.
        """
        rows = await self._queries.find(names, ends, first_only=first_only)
        name = next((name for name in names if name in rows), None)
        if name is None:
            return "", None
        self._found.pop(name, None)
        self._found[name] = None
        if len(self._found) > CANARIES:
            del self._found[next(iter(self._found))]
        return name, rows[name]

    async def _check_query(self, row: Mapping[str, object] | None, ends: float) -> None:
        """Raise UnavailableError: nothing shows that the query can find an account.

        That takes a name that is found, now or once more, or a row of the query `check`. Without
        such a query, removed accounts look like a query that does not work any more.
        Raises UncertainError: no name was found yet, and there is no such query.
        """
        if row:
            return
        database, canaries = self._queries.database, tuple(self._found)
        for name in reversed(canaries):
            if await self._queries.find([name], ends):
                return
        if self._check is None:
            if not canaries:
                raise UncertainError(f"{database}: the query has found no account since the start")
            text = f"{database}: the query no longer finds the accounts that it found before"
            raise UnavailableError(f"{text}; {self._check_setting} can say whether others are left")
        if not await self._queries.returns_row(self._check, ends):
            raise UnavailableError(f"{database}: {self._without_row}")
        for name in canaries:  # they were removed
            self._found.pop(name, None)

    @property
    def _without_row(self) -> str:
        """The fault that `check` finds if it returns no row, in words."""
        return f"{self._check_setting} returns no row"

    @property
    def _check_setting(self) -> str:
        return f"{self._queries.setting}_check"

    def _number(self, row: Mapping[str, object], column: str, least: int = 0) -> int | None:
        """Return the number in a column; None if it is NULL or absent.

        Raises UnreadableAccountError.
        """
        return read_number(self._queries.database, row, column, least)


def deadline() -> float:
    """Return when the time for a login is over, by the loop's clock."""
    return asyncio.get_running_loop().time() + PATIENCE


def find_hindrance(row: Mapping[str, object] | None) -> str:
    """Return why the account of a row is locked, "" if it is not."""
    if row is None:
        return "unknown name"
    if is_locked_hash(str(row["password"] or "")):
        return f"locked by {HASH}"
    lock = first_row_lock(row)
    return f"locked by {lock}" if lock else ""


def _name(user: str, row: Mapping[str, object]) -> str:
    """Return the name of an account: that of its maildrop."""
    return str(row.get("name") or user)
