"""Tags of messages: given by a header, a plus-address or the API, as in Mailpit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from restante.mail.fields import split_header

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 100  # characters of a tag
MAX_TAGS = 50  # of a message

_VALID = re.compile(rf"[A-Za-z0-9._ -]{{1,{LONGEST}}}")


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags in order, each once in any case of letters, without blanks around them.

    Raises ValueError: one has other characters than letters, digits, ".", "_", "-" and blanks, or
    there are too many.
    """
    by_name: dict[str, str] = {}
    for tag in (" ".join(each.split()) for each in tags):
        if not _VALID.fullmatch(tag):
            raise ValueError(
                f"invalid tag {tag[:LONGEST]!r}; use 1 to {LONGEST} letters, digits, '.', '_', '-' "
                "and blanks"
            )
        by_name.setdefault(tag.lower(), tag)
    if len(by_name) > MAX_TAGS:
        raise ValueError(f"a message has at most {MAX_TAGS} tags")
    return tuple(by_name[name] for name in sorted(by_name))


def tags_of(mailbox: str, octets: bytes) -> tuple[str, ...]:
    """Return the tags that a message has when it comes: of X-Tags, and of ann+TAG@example.com."""
    local = mailbox.rpartition("@")[0]
    names = local.split("+")[1:]
    names += split_header(octets).first("X-Tags").decode(errors="replace").split(",")
    tags = (" ".join(each.split()) for each in names[:MAX_TAGS])
    return clean_tags(tag for tag in tags if _VALID.fullmatch(tag))
