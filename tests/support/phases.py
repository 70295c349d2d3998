"""For tests of the tables of phases: a transport without a network, and the reading of a table."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any, TypeVar

P = TypeVar("P", bound=Enum)


class Transport(asyncio.Transport):
    """Notes what is sent, and loses no connection by itself."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 40000)})
        self.sent = b""
        self.unsent = 0
        self.closing = False

    def write(self, data: Any) -> None:
        self.sent += data

    def write_eof(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


def read_table(phases: type[P]) -> dict[tuple[str, P], str]:
    """Return the cells of the table in a docstring, by event and phase."""
    assert phases.__doc__ is not None
    rows = iter(phases.__doc__.splitlines())
    heads = next(row.split() for row in rows if row.split()[:1] == ["event"])
    next(rows)
    cells: dict[tuple[str, P], str] = {}
    for row in rows:
        if not row.strip():
            return cells
        event, *words = row.split()
        for phase, word in zip(heads[1:], words, strict=True):
            cells[event, phases[phase]] = word
    raise AssertionError("the table has no end")
