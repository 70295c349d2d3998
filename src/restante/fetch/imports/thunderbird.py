"""The state of Thunderbird: `popstate.dat` in the folder of an account.

Comments, then `*HOST USER`, then lines of STATUS UID TIME; old files have no time. TIME is when the
message was fetched, in seconds. Messages with the status `b` or `f` are not fetched whole. The last
line has no line end. Read in Pop3Client.sys.mjs, which Thunderbird has since version 102.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from restante.fetch.imports.records import (
    NAMELESS,
    NO_LINE_END,
    Record,
    SkippedLine,
    SourceAccount,
    StateLine,
    make_message,
    read_lines,
    read_time,
)
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_FOLDERS = (
    ".thunderbird",
    "snap/thunderbird/common/.thunderbird",
    ".var/app/org.mozilla.Thunderbird/.thunderbird",
    "Library/Thunderbird/Profiles",
)

_KEPT, _DELETED, _TOO_BIG, _BODY_WANTED = b"k", b"d", b"b", b"f"


def parse(file: BinaryIO) -> Iterator[Record]:
    """Yield the messages of a file."""
    account = NAMELESS
    for line in read_lines(file):
        if not line.fault and (not line.octets or line.octets.startswith(b"#")):
            continue
        if line.octets.startswith(b"*"):
            host, _, user = line.octets[1:].partition(b" ")
            account = SourceAccount(decode_text(user), decode_text(host))
        else:
            yield _read_message(line, account)


def _read_message(line: StateLine, account: SourceAccount) -> Record:
    words = line.octets.split(b" ")
    if line.fault and not (line.fault == NO_LINE_END and len(words) == 3):
        return SkippedLine(line.number, line.fault)
    if len(words) not in {2, 3}:
        return SkippedLine(line.number, "the line is not a status, a unique-id and a time")
    if words[0] in {_TOO_BIG, _BODY_WANTED}:
        return SkippedLine(line.number, "the message was not fetched whole")
    if words[0] not in {_KEPT, _DELETED}:
        return SkippedLine(line.number, "the status is unknown")
    return make_message(line.number, account, words[1], read_time(b"".join(words[2:])))


def find_files(environment: Mapping[str, str], home: Path) -> list[Path]:  # noqa: ARG001  # as the others
    """Return the files of all accounts of all profiles."""
    return sorted(
        file for folder in _FOLDERS for file in home.glob(f"{folder}/*/Mail/*/popstate.dat")
    )
