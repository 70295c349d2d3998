"""The state of fdm: the file of `new-only cache`, lines of LENGTH UID LF for one account.

There are no times. Read in pop3-common.c of fdm 1.9 and newer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

from restante.fetch.imports.records import (
    NAMELESS,
    Record,
    SkippedLine,
    make_message,
    read_lines,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_ENTRY = re.compile(rb"\s*([0-9]{1,4})\s(.*)", re.DOTALL)


def parse(file: BinaryIO) -> Iterator[Record]:
    """Yield the messages of a file."""
    for number, octets, fault in read_lines(file):
        match = _ENTRY.fullmatch(octets)
        if fault:
            yield SkippedLine(number, fault)
        elif not octets:
            continue
        elif not match or int(match[1]) != len(match[2]):
            yield SkippedLine(number, "the line is not a length and a unique-id of that length")
        else:
            yield make_message(number, NAMELESS, match[2])


def find_files(environment: Mapping[str, str], home: Path) -> list[Path]:  # noqa: ARG001  # as the others
    """Return no file: the path of the cache is the user's."""
    return []
