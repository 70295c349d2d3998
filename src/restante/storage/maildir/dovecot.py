"""The unique-ids that Dovecot gave, from its list `dovecot-uidlist`.

The list's head has the Maildir's UIDVALIDITY; then comes a line for each message with its number,
fields of a letter and a value, and after a colon the base name.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from restante.storage.dovecot_format import MAX_UINT32, DovecotFormat, FormatValues
from restante.storage.maildir.uidlist import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_FIELDS = 32  # of a line, after its number; Dovecot writes a few, and the rest is not used

_NUMBER = re.compile(rb"[0-9]{1,10}")


class DovecotUniqueIds:
    """Unique-ids as Dovecot makes them by a format. Raises ValueError: it cannot be followed."""

    list_file = "dovecot-uidlist"

    def __init__(self, text: str) -> None:
        self._format = DovecotFormat(text)

    def parse_list(self, text: bytes) -> Iterator[tuple[str, str]]:
        """Yield the base names and unique-ids that a list gives; lines that are damaged give none.

        A name's last line counts.
        """
        head, lines = lines_of(text)
        version, *fields = head.split(b" ")
        validity = next((_number(field[1:]) for field in fields if field.startswith(b"V")), None)
        return self._parse_lines(lines, validity) if version == b"3" and validity else iter(())

    def uid_of_unlisted(self, base: str) -> str | None:
        """Return the unique-id of a message that is not in the list, None if it has none."""
        if not self._format.by_name:
            return None
        name = os.fsencode(base)
        return self._format(FormatValues(filename=name, guid=name))

    def _parse_lines(self, lines: Iterable[bytes], validity: int) -> Iterator[tuple[str, str]]:
        for line in lines:
            fields, _, name = line.partition(b" :")
            first, _, others = fields.partition(b" ")
            number = _number(first)
            if number is None or not name:
                continue
            base = name.partition(b":")[0]
            guid, saved = base, None
            if b"G" in others or b"P" in others:
                guid, saved = _find_ids(others, base)
            if saved is None:
                # `doveadm backup` makes the digest of an mbox's header the GUID
                uid = self._format(FormatValues(number, validity, base, guid, guid))
            else:
                uid = saved.decode("latin-1")
            yield os.fsdecode(base), uid


def _find_ids(others: bytes, base: bytes) -> tuple[bytes, bytes | None]:
    """Return the GUID in the fields of a line, and the unique-id that pop3_save_uidl stored."""
    guid, saved = base, None
    for field in others.split(b" ", MAX_FIELDS)[:MAX_FIELDS]:
        if field.startswith(b"G"):
            guid = field[1:] or base
        elif field.startswith(b"P"):
            saved = field[1:] or base
    return guid, saved


def _number(text: bytes) -> int | None:
    number = int(text) if _NUMBER.fullmatch(text) else 0
    return number if 1 <= number <= MAX_UINT32 else None
