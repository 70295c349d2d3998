"""The unique-ids that Courier gave, from its list `courierpop3dsizelist`.

The list's head is "/VERSION NEXT-NUMBER UIDVALIDITY", and a line for each message has the file's
name, its size in octets, and "NUMBER:UIDVALIDITY". Version 1 has numbers alone, version 3 one more
field. Older lists have no head and no numbers: there the name is the unique-id.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from restante.storage.maildir import filenames
from restante.storage.maildir.uidlist import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = re.compile(rb"/(?P<version>[123]) +[0-9]{1,20}( +[0-9]{1,20})? *")
_LINE = re.compile(
    rb"(?P<name>.+) [0-9]{1,20} (?P<number>[0-9]{1,20})(?::(?P<validity>[0-9]{1,20})(?::[0-9]+)?)?",
    re.DOTALL,
)
_OLD_LINE = re.compile(rb"(?P<name>.+) [0-9]{1,20}", re.DOTALL)
_QUOTED = re.compile(rb"[^!-~]|[\'\"+]")


class CourierUniqueIds:
    """The unique-ids of Courier's POP3 server, which writes its list when a session finds news."""

    list_file = "courierpop3dsizelist"

    def parse_list(self, text: bytes) -> Iterator[tuple[str, str]]:
        """Yield the base names and unique-ids that a list gives; lines that are damaged give none.

        A name's last line counts.
        """
        head, lines = lines_of(text)
        numbered = _HEAD.fullmatch(head)
        if not numbered and head.startswith(b"/"):
            return  # of a version that is not known
        pattern = _LINE if numbered else _OLD_LINE
        for line in lines if numbered else (head, *lines):
            match = pattern.fullmatch(line)
            if match:
                yield (
                    filenames.base_name(os.fsdecode(match["name"])),
                    _unique_id(**match.groupdict()),
                )

    def uid_of_unlisted(self, base: str) -> str | None:  # noqa: ARG002  # as the protocol has it
        """Return None: Courier has numbered every message that clients know."""
        return None


def _unique_id(name: bytes, number: bytes = b"0", validity: bytes | None = None) -> str:
    if int(number):
        suffix = f"-{int(validity)}" if validity and int(validity) else ""
        return f"UID{int(number)}{suffix}"
    base = name.partition(b":")[0]
    return _QUOTED.sub(lambda match: b"+%02X" % ord(match[0]), base).decode("ascii")
