r"""The state of mpop: ` N HOST USER LF`, then N lines, for each account of a file.

A line is a unique-id; from mpop 1.4.23 a blank and the time of first sight follow it. Comments are
at the top only: a unique-id may begin with `#`. Read in src/uidls.c of mpop 1.4.18 and 1.4.23.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

from restante.fetch.imports.records import (
    NAMELESS,
    Record,
    SkippedLine,
    SourceAccount,
    StateLine,
    make_message,
    read_lines,
    read_time,
)
from restante.file_kinds import is_file
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_ACCOUNT = re.compile(rb" ([0-9]{1,10}) ([^ ]+) (.+)", re.DOTALL)
_TOO_FEW = "unique-ids are missing before the line"


def parse(file: BinaryIO) -> Iterator[Record]:
    """Yield the messages of a file."""
    account, left, is_top, number = NAMELESS, 0, True, 0
    for line in read_lines(file):
        number = line.number
        match = _ACCOUNT.fullmatch(line.octets)
        if is_top and line.octets.startswith(b"#"):
            continue
        is_top = False
        if line.fault:
            left -= 1
            yield SkippedLine(line.number, line.fault)
        elif line.octets.startswith(b" "):
            if left > 0:
                yield SkippedLine(line.number, _TOO_FEW)
            account, left = NAMELESS, 0
            if match:
                account = SourceAccount(decode_text(match[3]), decode_text(match[2]))
                left = int(match[1])
            else:
                yield SkippedLine(line.number, "the line is not a number, a host and a user")
        elif left > 0:
            left -= 1
            yield _read_uid(line, account)
        else:
            yield SkippedLine(line.number, "the line belongs to no account")
    if left > 0:
        yield SkippedLine(number, _TOO_FEW)


def _read_uid(line: StateLine, account: SourceAccount) -> Record:
    uid, blank, time = line.octets.rpartition(b" ")
    first_seen = read_time(time) if blank else None
    return make_message(
        line.number, account, line.octets if first_seen is None else uid, first_seen
    )


def find_files(_environment: Mapping[str, str], home: Path) -> list[Path]:
    """Return the files of all accounts in the usual folder."""
    return sorted(file for file in home.glob(".mpop_uidls/*") if is_file(file))
