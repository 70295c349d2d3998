"""Accounts in an LDAP directory, such as OpenLDAP or Active Directory. A bind proves a password."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import unicodedata
from asyncio import sleep
from collections import deque
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from ldap.dn import escape_dn_chars
from ldap.filter import escape_filter_chars

from restante.auth.account_rows import KeptQuotas, SkippedAccounts, read_number
from restante.auth.interfaces import (
    UNLIKELY_NAME,
    CredentialsError,
    UnavailableError,
    UnreadableAccountError,
)
from restante.auth.ldap.directory import LdapDirectory
from restante.auth.password_only import PasswordOnlyAccounts
from restante.auth.row_locks import find_row_networks, first_row_lock
from restante.auth.silence import Silence
from restante.auth.usernames import candidate_names
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from restante.quota import Quota
from restante.threads import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from restante.auth.ldap.directory import LdapEntry, LdapServer

T = TypeVar("T")

AT_ONCE = 8  # calls of the directory
AT_ONCE_EACH = 2  # of them, about one name
PATIENCE = 5  # seconds for all answers of the directory that one login needs
TIMES = 16  # logins whose time is known
LONGEST_TIME = 1.0  # seconds that a refusal lasts because a login lasted as long

UNKNOWN = "cn=restante-unknown-name"
"""Part of a DN that no entry has: a bind for an unknown name."""

_PLACE = re.compile(r"\{(user|local|domain)\}")


@dataclass(frozen=True, kw_only=True)
class LdapSearch:
    """How to find the entry of an account; with `base` "", none is searched for.

    `{user}`, `{local}` and `{domain}` stand for the name, escaped, and in `listing` for any.
    """

    base: str = ""
    logins: str = "(uid={user})"  # the filter for accounts that can log in
    mail: str = "(uid={user})"  # the filter for those that get mail
    user_dn: str = ""  # the DN for a bind without a search
    name: str = "uid"  # the attribute with the account's name
    attributes: Mapping[str, str] = field(default_factory=dict)  # by column

    @property
    def requested_attributes(self) -> list[str]:
        """The attributes that a search asks for."""
        return [self.name, *self.attributes.values()]


class LdapAuthenticator(PasswordOnlyAccounts):
    """Proves passwords by a bind as the user, whose DN a template gives or a search finds.

    Nothing is remembered: a bind is cheaper than a hash here, and a new password, a lock or a
    removal counts at once. The password is tried as the client sent it, and once: directories count
    failures. A refusal lasts as long as the slowest of the last logins.

    An unknown name proves nothing while the same filter finds no account at all.
    """

    def __init__(self, server: LdapServer, search: LdapSearch) -> None:
        self._directory = LdapDirectory(server)
        self._search = search
        self.can_list = bool(search.base)
        self.at_once = AT_ONCE
        self._threads = Threads(
            "LDAP", UnavailableError, most=AT_ONCE, most_each=AT_ONCE_EACH, patience=PATIENCE
        )
        self._quotas = KeptQuotas("LDAP")
        self._times: deque[float] = deque(maxlen=TIMES)
        self._silence = Silence()

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return the identity for a name and password.

        Raises CredentialsError, UnavailableError.
        """
        begun = monotonic()
        try:
            identity = await self._call(user, functools.partial(self._log_in, user, password))
        except CredentialsError:
            slowest = max(self._times, default=0.0)
            await sleep(begun + slowest - monotonic())
            raise
        self._times.append(min(monotonic() - begun, LONGEST_TIME))
        return identity

    async def identify(self, user: str) -> Identity:
        """Return the identity of a name. Raises CredentialsError, UnavailableError."""
        names = candidate_names(user)
        return self._identity(await self._find(names, self._search.logins))

    async def recheck(self, user: str) -> Identity:
        """Look up a user with a session. Raises CredentialsError, UnavailableError."""
        return await self.identify(user)

    async def owner(self, name: str) -> str:
        """Return the account of exactly this name. Raises CredentialsError, UnavailableError."""
        return await self.first_owner([name])

    async def first_owner(self, names: Sequence[str]) -> str:
        """Return the account of the first of these names that has one.

        Raises CredentialsError, UnavailableError.
        """
        entry = await self._find(names, self._search.mail)
        name = self._name(entry)
        self._quotas.keep(name, self._row(entry))
        return name

    async def own_quota(self, name: str) -> Quota:
        """Return the quota of an account, as its entry was last found. Raises UnavailableError.

        The look-up of a recipient has just found it.
        """
        quota = self._quotas.get(name)
        if quota is not None:
            return quota
        with contextlib.suppress(CredentialsError):
            entry = await self._find([name], f"({self._search.name}={{user}})")
            return self._quotas.keep(name, self._row(entry))
        return Quota()

    async def list_accounts(self) -> AsyncIterator[Sequence[tuple[str, int | None]]]:
        """Yield at most 1000 accounts at once: the name, and its days of mail.

        Raises UnavailableError; UnreadableAccountError after all accounts that can be read.
        """
        skipped = SkippedAccounts()
        search = self._search
        pages = self._directory.list(
            search.base, fill(search.mail, None), search.requested_attributes, PATIENCE
        )
        while True:
            page = await self._call("", lambda: next(pages, None))
            if page is None:
                skipped.report()
                return
            listed = []
            for entry in page:
                with skipped.skip_unreadable(entry.dn):
                    if entry.values(search.name):
                        listed.append((self._name(entry), self._days(entry)))
            yield listed

    async def try_source(self) -> None:
        """Search with each filter, or try to bind. Raises UnavailableError."""
        ends = monotonic() + PATIENCE
        if not self._search.base:
            dn = fill(self._search.user_dn, UNLIKELY_NAME, dn=True)
            unlikely = Secret(b"unlikely")
            await self._call("", lambda: self._directory.bind(dn, unlikely, ends))
            return
        for template in {self._search.logins, self._search.mail}:
            find = functools.partial(self._find_now, [UNLIKELY_NAME], template, ends)
            await self._call("", find)

    async def aclose(self) -> None:
        """Close the connections to the directory."""
        self._directory.close()

    async def _call(self, user: str, work: Callable[[], T]) -> T:
        """Do some work in a thread. Raises UnavailableError: it did not end in time."""
        text = f"LDAP: no answer in {PATIENCE} s; check the directory's load and the network"
        with self._silence.noting(text):
            async with asyncio.timeout(PATIENCE):
                return await self._threads.run(user.lower(), work)

    async def _find(self, names: Sequence[str], template: str) -> LdapEntry:
        """Return the entry of an account. Raises CredentialsError: there is none."""
        if not self._search.base:
            raise CredentialsError("no way to tell who this is: ldap.base is not set")
        ends = monotonic() + PATIENCE
        entry = await self._call(names[0], lambda: self._find_now(names, template, ends))
        if entry is None:
            raise CredentialsError("unknown name")
        return entry

    def _log_in(self, user: str, password: Secret) -> Identity:
        """Bind as a user, in a thread."""
        ends = monotonic() + PATIENCE
        if not self._search.base:
            reason = _name_problem(user) or self._directory.bind(
                fill(self._search.user_dn, user.lower(), dn=True), password, ends
            )
            if reason:
                raise CredentialsError(reason)
            return Identity(user.lower())
        entry = self._find_now(candidate_names(user), self._search.logins, ends)
        dn = entry.dn if entry else f"{UNKNOWN},{self._search.base}"
        reason = self._directory.bind(dn, password, ends)  # for an unknown name, too
        if entry is None or reason:
            raise CredentialsError(reason if entry else "unknown name")
        return self._identity(entry)

    def _find_now(self, names: Sequence[str], template: str, ends: float) -> LdapEntry | None:
        """Return the only entry of the first name that has one, in a thread.

        Raises UnavailableError: it has several, or no account at all can be found.
        """
        find = functools.partial(self._directory.search, self._search.base)
        for name in filter(_is_text, names):
            entries = find(fill(template, name), self._search.requested_attributes, ends)
            if len(entries) > 1:
                text = f"LDAP: {name!r} has several entries; narrow ldap.filter"
                raise UnavailableError(text)
            if entries:
                return entries[0]
        if not find(fill(template, None), ["1.1"], ends, most=1):
            text = "LDAP: the filter finds no account at all; check ldap.base and ldap.filter"
            raise UnavailableError(text)
        return None

    def _identity(self, entry: LdapEntry) -> Identity:
        """Return what a session should know. Raises CredentialsError, UnavailableError."""
        row = self._row(entry)
        if lock := first_row_lock(row):
            raise CredentialsError(f"locked by {lock}")
        delay = read_number("LDAP", row, "login_delay")
        days = self._days(entry)
        self.note_limits(delay, days)
        return Identity(self._name(entry), delay, days, networks=find_row_networks(row))

    def _days(self, entry: LdapEntry) -> int | None:
        return read_number("LDAP", self._row(entry), "expire_days", least=1)

    def _row(self, entry: LdapEntry) -> dict[str, object]:
        """Return the settings of an account as a row of a database has them."""
        row: dict[str, object] = {}
        for column, attribute in self._search.attributes.items():
            values = entry.values(attribute)
            if len(values) > 1 and column != "allow_nets":
                text = f"LDAP: {attribute} has several values: {entry.dn}"
                raise UnreadableAccountError(text)
            if values:
                is_number = re.fullmatch("[0-9]{1,18}", values[0])
                row[column] = int(values[0]) if is_number else list(values)
        return row

    def _name(self, entry: LdapEntry) -> str:
        """Return the name of an account. Raises UnreadableAccountError: not just one."""
        values = entry.values(self._search.name)
        if len(values) != 1:
            text = f"LDAP: {self._search.name} has {len(values)} values, not one: {entry.dn}"
            raise UnreadableAccountError(text)
        return values[0]


def fill(template: str, name: str | None, *, dn: bool = False) -> str:
    """Return a filter or a DN for a name, whose characters mean nothing there; None for any name.

    RFC 4515 section 3, RFC 4514 section 2.4. A template without "=" is not a DN, but a name
    of Active Directory, such as {user}@example.com.
    """
    if name is None:
        return _PLACE.sub("*", template)
    local, _, domain = name.rpartition("@")
    parts = {"user": name, "local": local or name, "domain": domain if local else ""}
    escape = escape_filter_chars if not dn else escape_dn_chars if "=" in template else str
    return _PLACE.sub(lambda match: escape(parts[match[1]]), template)


def _name_problem(user: str) -> str:
    """Return why a name may be the same as another one to a directory, "" for one that is not.

    RFC 4518: directories ignore spaces and invisible characters, and forms of the same character.
    """
    plain = user.isprintable() and " " not in user and unicodedata.normalize("NFKC", user) == user
    return "" if user and plain else "unknown name"


def _is_text(name: str) -> bool:
    """Return whether a directory can have a name: it is not empty, and in UTF-8."""
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False
