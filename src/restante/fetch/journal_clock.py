"""The times of a journal while the clock is wrong: they must not delete mail too early.

Some computers begin with a clock that is behind, until the network corrects it. Others had a clock
that was ahead. Only the time shows which one it is: a clock that is set back is believed after a
day. Until then the journal notes its latest time in place of the clock's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.fetch.journal_rows import NEVER

if TYPE_CHECKING:
    import sqlite3

PATIENCE = 86_400.0  # seconds until a clock that is set back is believed

_READ = "SELECT latest_run, set_back FROM account WHERE name = :account"
_NOTE = "UPDATE account SET set_back = :set_back WHERE name = :account"
_TRY_NOW = (
    "UPDATE message SET next_try = :now"
    " WHERE account = :account AND next_try > :now AND next_try < :never"
)
_END_FUTURE = (
    "UPDATE message SET first_seen = min(first_seen, :now), changed = min(changed, :now)"
    " WHERE account = :account"
)
"""Else messages would leave their server years later."""
_BELIEVE = "UPDATE account SET latest_run = :now, set_back = NULL WHERE name = :account"


def find_least_time(database: sqlite3.Connection, account: str, now: float) -> float:
    """Return the earliest time that an account's journal may note from now on.

    It is later than `now`, both in seconds since 1970, while a clock that was set back is not
    believed. Once it is, times of the future are corrected. Parked messages are tried again at
    once, whatever the clock.
    """
    values: dict[str, object] = {"account": account, "now": now, "never": NEVER}
    latest, set_back = database.execute(_READ, values).fetchone()
    if latest is None or latest <= now:
        if set_back is not None:
            database.execute(_NOTE, values | {"set_back": None})
        return now
    if set_back is None or set_back > now:
        database.execute(_TRY_NOW, values)
        database.execute(_NOTE, values | {"set_back": now})
        return float(latest)
    if now - set_back < PATIENCE:
        return float(latest)
    database.execute(_END_FUTURE, values)
    database.execute(_BELIEVE, values)
    return now
