"""The unique-ids that Dovecot gave, from its list `dovecot-uidlist`, for who moves here from it.

The list's head has the Maildir's UIDVALIDITY; then comes a line for each message with its number,
fields of a letter and a value, and behind a colon the base name. RFC 1939 section 7 wants of
unique-ids that they stay, and that no two messages share one.
"""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

from restante.storage.files import chunks, open_file
from restante.storage.maildir import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

LIST = "dovecot-uidlist"
MOST_OCTETS = 32 * 1024 * 1024  # of a list: some 400,000 messages
MOST = 2**32 - 1  # a number of Dovecot's

_NO_LIST = frozenset({errno.ENOENT, errno.ELOOP, errno.EINVAL, errno.ENXIO})
_NUMBER = re.compile(rb"[0-9]{1,10}")
_VARIABLE = re.compile(r"%(0[0-9]{1,2})?(X?)([uv])")


class UidFormat:
    """How Dovecot makes a unique-id: what its `pop3_uidl_format` says. Raises ValueError: bad."""

    def __init__(self, text: str) -> None:
        literals = _VARIABLE.sub("", text)
        if "%" in literals or not names.fits("x" + literals):
            raise ValueError("Expected %u, %v, %Xu, %08Xv and the like, in ASCII without spaces")
        if not any(found[3] == "u" for found in _VARIABLE.finditer(text)):
            raise ValueError("Expected %u in it; else all messages would have one unique-id")
        pattern = text.replace("{", "{{").replace("}", "}}")
        self._pattern = _VARIABLE.sub(_as_python, pattern)
        if not names.fits(self(MOST, MOST)):
            raise ValueError("Expected one that makes at most 70 characters")

    def __call__(self, number: int, validity: int) -> str:
        """Return the unique-id of a message's number and its Maildir's UIDVALIDITY."""
        return self._pattern.format(u=number, v=validity)


def _as_python(found: re.Match[str]) -> str:
    return f"{{{found[3]}:{found[1] or ''}{found[2].lower() or 'd'}}}"


def naming(form: UidFormat | None, maildrop: int) -> Callable[[str], str]:
    """Return what makes a message's unique-id of its key. Raises OSError.

    A list that is missing or no list gives nothing, so all have ours. One that the disk does not
    give now is an error: with other unique-ids clients would download everything again.
    """
    return names.unique_id if form is None else given(read(form, _text(maildrop)))


def given(known: Mapping[str, str]) -> Callable[[str], str]:
    """Return what makes unique-ids: the known one of a base name, else ours, never one twice.

    It depends on the list and the name alone, not on which messages are there: so they stay.
    """
    taken = frozenset(known.values())

    def unique_id(key: str) -> str:
        uid = known.get(key)
        if uid is None:
            uid = names.unique_id(key)
            if uid in taken:
                uid = names.hashed(key)
        return uid

    return unique_id


def read(form: UidFormat, text: bytes) -> dict[str, str]:
    """Return the unique-ids that a list gives, by base name; lines that are damaged give none."""
    head, *lines = text.split(b"\n")[:-1] or [b""]  # the last line may not be written to its end
    version, *fields = head.split(b" ")
    validity = next((_number(field[1:]) for field in fields if field.startswith(b"V")), None)
    if version != b"3" or validity is None:
        return {}
    by_name = dict(_records(form, validity, lines))  # a name's last line counts
    by_uid: dict[str, str] = {}
    for name, uid in by_name.items():
        by_uid.setdefault(uid, name)
    return {name: uid for uid, name in by_uid.items()}


def _records(form: UidFormat, validity: int, lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    for line in lines:
        fields, _, name = line.partition(b" :")
        first, *more = fields.split(b" ")
        number = _number(first)
        if number is None or not name:
            continue
        uid = form(number, validity)
        for field in more:
            if field.startswith(b"P"):  # stored by pop3_save_uidl
                uid = field[1:].decode("latin-1")
        if names.fits(uid) and not uid.startswith(names.HASHED):
            yield names.base_name(os.fsdecode(name)), uid


def _number(text: bytes) -> int | None:
    number = int(text) if _NUMBER.fullmatch(text) else 0
    return number if 1 <= number <= MOST else None


def _text(maildrop: int) -> bytes:
    try:
        file, octets = open_file(LIST, maildrop)
    except OSError as error:
        if error.errno in _NO_LIST:
            return b""
        raise
    try:
        return b"".join(chunks(file)) if octets <= MOST_OCTETS else b""
    finally:
        os.close(file)
