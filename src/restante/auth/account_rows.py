"""The settings of one account, as a database or a directory has them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from restante.auth.interfaces import UnreadableAccountError
from restante.quota import Quota

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HIGHEST = 100_000  # seconds of a login's delay, or days of mail
MAX_MAIL = 2**60  # octets, or messages, of a quota
QUOTAS = 10_000  # of accounts found last, so that a delivery needs no second query


def read_number(
    source: str, row: Mapping[str, object], column: str, least: int = 0, most: int = HIGHEST
) -> int | None:
    """Return the number in a column; None if it is NULL or absent.

    Raises UnreadableAccountError: the value is invalid. With a wrong number of days, mail would be
    removed. `source` names the database in the error.
    """
    value = row.get(column)
    if value is None:
        return None
    if type(value) is int and least <= value <= most:  # a bool is an int, too
        return value
    valid = f"a whole number from {least} to {most}, or NULL"
    raise UnreadableAccountError(f"{source}: {column} must be {valid}")


class SkippedAccounts:
    """The accounts that a list leaves out, because their settings cannot be read."""

    def __init__(self) -> None:
        self._count = 0
        self._first = ""

    @contextlib.contextmanager
    def skip_unreadable(self, name: str) -> Iterator[None]:
        """Skip an account if the block raises UnreadableAccountError."""
        try:
            yield
        except UnreadableAccountError as error:
            self._count += 1
            self._first = self._first or f"{name}: {error}"

    def report(self) -> None:
        """Raise UnreadableAccountError if an account was left out. Called after the others."""
        if self._count:
            text = f"accounts that cannot be read: {self._count}, the first is {self._first}"
            raise UnreadableAccountError(text)


class KeptQuotas:
    """The quotas of the accounts that were found last. `source` is a word for errors."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._by_name: dict[str, Quota] = {}

    def get(self, name: str) -> Quota | None:
        """Return the quota of an account; None if it is not kept."""
        return self._by_name.get(name)

    def keep(self, name: str, row: Mapping[str, object]) -> Quota:
        """Keep the quota in a row, and return it. Raises UnreadableAccountError."""
        columns = ("quota_octets", "quota_messages")
        quota = Quota(
            *(read_number(self._source, row, column, most=MAX_MAIL) for column in columns)
        )
        self._by_name.pop(name, None)
        self._by_name[name] = quota
        if len(self._by_name) > QUOTAS:
            del self._by_name[next(iter(self._by_name))]
        return quota
