"""The locks of an account in a row of a database or an entry of a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.auth.file import allowed_networks
from restante.auth.file.locks import NETWORKS, is_lock

if TYPE_CHECKING:
    from collections.abc import Mapping


def first_row_lock(row: Mapping[str, object]) -> str:
    """Return the first column of a row that locks its account, "" without one."""
    for column, value in row.items():
        if value is not None and is_lock(column.lower()):
            if column == NETWORKS and find_row_networks(row):
                continue
            return column
    return ""


def find_row_networks(row: Mapping[str, object]) -> tuple[str, ...]:
    """Return from where the account of a row can log in; () where `allow_nets` locks it."""
    value = row.get(NETWORKS)
    if value is None:
        return ()
    words = value if isinstance(value, list | tuple) else [value]  # PostgreSQL has arrays
    return allowed_networks.parse_or_lock(",".join(map(str, words)))
