"""From the errors of PostgreSQL to those of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from restante.postgresql_hosts import explain, explain_full, is_full
from restante.storage.errors import ForbiddenError, FullError, LostError, OverQuotaError, StoreError
from restante.system_errors import find_reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FEWER = "or lower cluster.connections"
NO_ANSWER = (
    "PostgreSQL did not answer in time; check its load, its locks, its standbys and the network"
)
UNREPLICATED = "PostgreSQL committed without its synchronous standby"

LEASE_LOST, OVER_QUOTA, BODY_MARKED, MOVED = "RF001", "RF002", "RF003", "RF004"
"""SQLSTATEs that the functions of sql/ raise."""

LARGEST_INLINE = 1_000_000_000  # octets of a body in PostgreSQL, whose values are below 1 GiB


class UnansweredError(StoreError):
    """The answer of PostgreSQL did not come. The work may be done, or may still be done later."""


class MovedError(StoreError):
    """The mail of the owner is in another database, or on its way there."""


_BY_STATE: Mapping[str, type[StoreError]] = {
    LEASE_LOST: LostError,
    OVER_QUOTA: OverQuotaError,
    MOVED: MovedError,
    "53100": FullError,  # disk_full
    "42501": ForbiddenError,  # insufficient_privilege
}

_NO_SCHEMA = {"3F000", "42P01", "42883", "42703"}  # no such schema, table, function, column

_DISCONNECTED = {
    "25006",  # read_only_sql_transaction: this server is no longer the primary
    "57P01", "57P02", "57P03",  # it shuts down, crashed, or starts
}  # fmt: skip

ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""The errors of asyncpg's calls."""


def check_inline(octets: int) -> None:
    """Raise StoreError if a body of this size cannot be in PostgreSQL."""
    if octets > LARGEST_INLINE:
        text = f"a message of {octets} octets is too large for PostgreSQL"
        raise StoreError(f"{text}; set cluster.objects, or a smaller inline", permanent=True)


def describe_primaries(hosts: Sequence[str]) -> str:
    """Return what hosts do to mail that accept changes at the same time, and what to do."""
    return (
        f"{' and '.join(hosts)} both accept changes: a connection uses either of them, so mail is"
        " hidden, and is lost with the one that goes; stop the old primary"
    )


def translate(error: Exception) -> tuple[StoreError, bool]:
    """Return an error as the store raises it, and whether its connection is useless now.

    Texts are for the log. They do not contain the address of the database, which has a password.
    """
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        words = explain(error) or (error.args[0] if error.args else type(error).__name__)
        text = f"PostgreSQL: {words}"
        if is_full(error):
            return StoreError(f"PostgreSQL: {explain_full(error)}, {FEWER}"), False
        if state in _NO_SCHEMA:
            return StoreError(f"{text}; run `pop3 store init`", permanent=True), False
        is_lost = state.startswith("08") or state in _DISCONNECTED
        return _BY_STATE.get(state, StoreError)(text), is_lost
    if isinstance(error, TimeoutError):
        return StoreError(NO_ANSWER), True
    if isinstance(error, OSError):
        text = f"PostgreSQL: {find_reason(error, 'the connection broke')}"
        return StoreError(text, path=str(error.filename or "")), True
    is_value = isinstance(error, ValueError)  # such as a name that is not UTF-8
    return StoreError(f"PostgreSQL: {type(error).__name__}"), not is_value
