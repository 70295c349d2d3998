"""A whole file of state, by account."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from restante.fetch.imports.records import SkippedLine, SourceAccount

if TYPE_CHECKING:
    from restante.fetch.imports.records import Parse

MAX_MESSAGES = 1_000_000
"""Messages that are read from one file: about 200 MB of memory."""


class StateFileError(Exception):
    """The state of a program cannot be used; the text says why."""


@dataclass(slots=True)
class SkippedLines:
    """Lines that were skipped for the same reason: how many, and the number of the first one."""

    count: int
    first: int


@dataclass(slots=True)
class ProgramState:
    """The fetched messages in a program's file, by account.

    Attributes:
        accounts: for each account, the unique-ids of its fetched messages, and when each was first
            seen: seconds since 1970, or None.
        skipped: the lines that were not read, by reason.
    """

    accounts: dict[SourceAccount, dict[str, int | None]] = field(default_factory=dict)
    skipped: dict[str, SkippedLines] = field(default_factory=dict)


def read_state(parse: Parse, file: BinaryIO) -> ProgramState:
    """Read a file. Of two entries for a message, the earlier time counts.

    Raises StateFileError: the file has more than MAX_MESSAGES messages.
    """
    state = ProgramState()
    total = 0
    for record in parse(file):
        if isinstance(record, SkippedLine):
            row = state.skipped.setdefault(record.reason, SkippedLines(0, record.number))
            row.count += 1
            continue
        total += 1
        if total > MAX_MESSAGES:
            raise StateFileError(f"the file has more than {MAX_MESSAGES} messages")
        entries = state.accounts.setdefault(record.account, {})
        times = {entries.get(record.uid), record.first_seen} - {None}
        entries[record.uid] = min(times, default=None)  # type: ignore[type-var]
    return state
