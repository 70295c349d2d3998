"""From an address to the account whose mail it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from restante.auth.interfaces import (
    CredentialsError,
    FindsFirstOwner,
    UnavailableError,
    UncertainError,
)
from restante.auth.usernames import candidate_names, saslprep_or_same
from restante.storage.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from restante.auth.interfaces import FindsOwner
    from restante.storage.interfaces import Knows

_QUOTED = re.compile(r"\\(.)")


class Recipients(Protocol):
    """Resolves names to the owners of maildrops."""

    async def owner(self, name: str) -> str | None:
        """Return the owner of the maildrop of this name, None for an unknown name.

        Raises UnavailableError: the source cannot be read now.
        """


class AccountRecipients:
    """Recipients with an account, in a file or a database."""

    def __init__(self, accounts: FindsOwner) -> None:
        self._accounts = accounts

    async def owner(self, name: str) -> str | None:
        """Return the name of the account, as the accounts spell it."""
        try:
            return await self._accounts.owner(name)
        except CredentialsError:
            return None

    async def first_owner(self, names: Sequence[str]) -> str | None:
        """Return the account of the first name that has one, by one query where that is possible.

        Raises UnavailableError.
        """
        if not isinstance(self._accounts, FindsFirstOwner):
            return await _first_owner(self, names)
        try:
            return await self._accounts.first_owner(names)
        except CredentialsError:
            return None


class StoreRecipients:
    """Recipients with an existing maildrop, for sources without a list of names, such as PAM."""

    def __init__(self, store: Knows) -> None:
        self._store = store

    async def owner(self, name: str) -> str | None:
        """Return the name itself. Raises UnavailableError: the store cannot be asked now."""
        try:
            return name if await self._store.has(name) else None
        except StoreError as error:
            raise UnavailableError(str(error)) from error


async def find(recipients: Recipients, address: str, delimiter: str) -> str | None:
    """Return the owner of an address's maildrop, or None. Raises UnavailableError."""
    names = tuple(candidate_addresses(address, delimiter))
    if names and isinstance(recipients, AccountRecipients):
        return await recipients.first_owner(names)
    return await _first_owner(recipients, names)


async def _first_owner(recipients: Recipients, names: Iterable[str]) -> str | None:
    doubt: UncertainError | None = None
    for name in names:
        try:
            owner = await recipients.owner(name)
        except UncertainError as error:
            doubt = error
            continue
        if owner is not None:
            return owner
    if doubt is not None:
        raise doubt
    return None


def candidate_addresses(address: str, delimiter: str) -> Iterator[str]:
    """Return the names that an address may mean, the most specific first.

    The order: the whole address; the address without its extension, which begins at the first
    `delimiter` of the local part; the local part with and without the extension. Each name comes as
    written, then in lower case, then as SASLprep changes it (RFC 4013). An empty delimiter means
    that there are no extensions.
    """
    local, at, domain = address.rpartition("@")
    if not at:
        local, domain = domain, ""
    if local.startswith('"') and local.endswith('"'):
        local = _QUOTED.sub(r"\1", local[1:-1])
    plain = local.partition(delimiter)[0] if delimiter else local
    candidates = [local + at + domain, (plain or local) + at + domain, local, plain or local]
    yield from dict.fromkeys(form for name in candidates if name for form in _forms(name))


def _forms(name: str) -> Iterator[str]:
    yield from candidate_names(name)
    yield from candidate_names(saslprep_or_same(name))
