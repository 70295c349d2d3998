"""The state of fetchmail: `.fetchids`, lines of USER@POLLNAME UID LF for all accounts.

There are no times. The user name may have `@` and blanks, the unique-id may have `@`. POLLNAME is
the name after `poll`, or that of `via`. Of a unique-id, fetchmail knows the first word, at most 128
octets of it. Read in uid.c and uid_db.c of fetchmail 6.4.37.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from restante.fetch.imports.records import (
    Record,
    SkippedLine,
    SourceAccount,
    make_message,
    read_lines,
)
from restante.file_kinds import exists
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MAX_OCTETS = 128


def parse(file: BinaryIO) -> Iterator[Record]:
    """Yield the messages of a file.

    The first blank after the first `@` ends the account; its last `@` begins the host.
    """
    for number, octets, fault in read_lines(file):
        line = octets.lstrip(b" \t")
        blank = line.find(b" ", line.find(b"@") + 1)
        user, at, host = line[:blank].rpartition(b"@")
        if fault:
            yield SkippedLine(number, fault)
        elif not line:
            continue
        elif blank < 0 or not at or not user or not host:
            yield SkippedLine(number, "the line is not USER@HOST and a unique-id")
        else:
            account = SourceAccount(decode_text(user), decode_text(host))
            words = line[blank:].replace(b"\t", b" ").split(b" ")
            yield make_message(number, account, next(filter(None, words), b""))


def map_uid(uid: str) -> str:
    """Return a unique-id as fetchmail writes it. Two of them may become one."""
    return decode_text(b"".join(uid.encode().split(None, 1)[:1])[:_MAX_OCTETS])


def find_files(environment: Mapping[str, str], home: Path) -> list[Path]:
    """Return the usual file, if it is there."""
    own = environment.get("FETCHMAILHOME")
    file = Path(own, "fetchids") if own else home / ".fetchids"
    return [file] if exists(file) else []
