"""A target of a fuzzer: a function of octets that raises if a promise is broken."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unittest import mock

BLIND = "--blind"  # a flag of one.py
LONGEST = 1024  # octets of an input: whatever can be reached needs no more


@dataclass(frozen=True, slots=True)
class Target:
    """One thing under test.

    Attributes:
        promise: What holds for every input, in a sentence.
        run: Takes an input; whatever it raises is a find.
        limits: Names in modules, and what they are meanwhile. Limits are made small, so that inputs
            reach them; what only takes time is made quick.
        runs: How many inputs are tried in CI.
    """

    promise: str
    run: Callable[[bytes], None]
    limits: tuple[tuple[object, str, object], ...] = ()
    runs: int = 25_000

    @contextlib.contextmanager
    def limited(self) -> Iterator[None]:
        """Hold to the small limits while the block runs."""
        with contextlib.ExitStack() as undo:
            for module, name, value in self.limits:
                undo.enter_context(mock.patch.object(module, name, value))
            yield


def cut(octets: bytes, choice: int) -> list[bytes]:
    """Return octets in pieces: all at once for 0, else of this many octets and one more in turn."""
    if choice == 0 or not octets:
        return [octets]
    sizes = itertools.cycle((choice, choice % 7 + 1))
    pieces, place = [], 0
    while place < len(octets):
        size = next(sizes)
        pieces.append(octets[place : place + size])
        place += size
    return pieces


def choices(octets: bytes, count: int) -> tuple[list[int], bytes]:
    """Return the first octets of an input as numbers, and the rest of it."""
    return list(octets[:count].ljust(count, b"\0")), octets[count:]
