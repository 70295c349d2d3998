r"""The state of getmail6: `oldmail-SERVER-PORT-USER`, lines of UID NUL TIME LF.

TIME is when the message was first delivered. getmail writes each `/` of a unique-id as `-`.
Entries with `/` are from IMAP. Read in getmailcore/_retrieverbases.py of getmail6 6.18 and 6.20.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from restante.fetch.imports.records import (
    NAMELESS,
    Record,
    SkippedLine,
    make_message,
    read_lines,
    read_time,
)
from restante.file_kinds import exists

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAME = re.compile(r"oldmail-.+?-[0-9]+-(.+)", re.DOTALL)
_STRIPPED = re.compile(r"[/\\:;<>|]+")


def parse(file: BinaryIO) -> Iterator[Record]:
    """Yield the messages of a file."""
    for number, octets, fault in read_lines(file):
        uid, nul, time = (part.strip() for part in octets.partition(b"\0"))
        if fault:
            yield SkippedLine(number, fault)
        elif not octets.strip():
            continue
        elif not nul or not time.isdigit():
            yield SkippedLine(number, "the line is not a unique-id, NUL and a time")
        elif b"/" in uid:
            yield SkippedLine(number, "the entry is of an IMAP folder")
        else:
            yield make_message(number, NAMELESS, uid, read_time(time))


def map_uid(uid: str) -> str:
    """Return a unique-id as getmail writes it. Two of them may become one."""
    return uid.replace("/", "-")


def file_name(user: str, host: str, port: int) -> str:
    """Return the name of the file of an account."""
    return _STRIPPED.sub("-", f"oldmail-{host}-{port}-{user}")


def file_user(name: str) -> str:
    """Return the user in the name of a file, as getmail writes it."""
    match = _NAME.fullmatch(name)
    return match[1] if match else ""


def find_files(environment: Mapping[str, str], home: Path) -> list[Path]:
    """Return the files of all accounts in the usual folder."""
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "getmail"
    folder = config if exists(config) else home / ".getmail"
    return sorted(file for file in folder.glob("oldmail-*") if ".tmp." not in file.name)
