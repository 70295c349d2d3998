"""The language of the search field: `from:shop subject:"your order" -has:attachment`.

All terms must match, in any case of letters. A term is a word, FIELD:WORD, or either with a minus
or an exclamation mark before it, and a word in quotes may have blanks. Mailpit's searches have the
same form: https://mailpit.axllent.org/docs/usage/search-filters/.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.developer.mailboxes import mailbox_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from restante.web.message_view import MessageView

LONGEST = 2500  # characters of a search

_TERM = re.compile(r'([-!]?)(?:([A-Za-z-]{1,20}):)?(?:"([^"]*)"?|(\S+))')
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?(k|m|)b?", re.ASCII)
_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}


def _has(view: MessageView, word: str) -> bool:
    return {
        "attachment": bool(view.attachments),
        "attachments": bool(view.attachments),
        "html": bool(view.html),
        "inline": bool(view.inline),
        "inlines": bool(view.inline),
        "link": bool(view.links),
        "links": bool(view.links),
    }.get(word, False)


FIELDS: dict[str, Callable[[MessageView, str], bool]] = {
    "from": lambda view, word: word in view.search_text("From"),
    "to": lambda view, word: (
        word in view.search_text("To", "Cc", "Bcc") or word in view.mail.mailbox.lower()
    ),
    "cc": lambda view, word: word in view.search_text("Cc"),
    "bcc": lambda view, word: word in f"{view.search_text('Bcc')}\n{view.hidden_recipient}",
    "reply-to": lambda view, word: word in view.search_text("Reply-To"),
    "addressed": lambda view, word: (
        word in view.search_text("From", "To", "Cc", "Bcc", "Reply-To")
        or word in view.hidden_recipient
    ),
    "subject": lambda view, word: word in view.search_text("Subject"),
    "message-id": lambda view, word: word.strip("<>") in view.search_text("Message-ID"),
    "mailbox": lambda view, word: mailbox_name(word) == view.mail.mailbox,
    "tag": lambda view, word: word in map(str.lower, view.mail.tags),
    "id": lambda view, word: word in (str(view.mail.id), view.mail.uid.lower()),
    "body": lambda view, word: word in view.text.lower() or word in view.html.lower(),
    "has": _has,
    "larger": lambda view, word: view.size > _octets(word),
    "smaller": lambda view, word: view.size < _octets(word),
    "after": lambda view, word: view.mail.received >= _moment(word),
    "before": lambda view, word: view.mail.received <= _moment(word),
}
"""The comparison of each field of a search."""

STATES: dict[str, Callable[[MessageView, bool], bool]] = {
    "read": lambda _, is_read: is_read,
    "unread": lambda _, is_read: not is_read,
    "tagged": lambda view, _: bool(view.mail.tags),
}
"""The comparison of each word after `is:`."""


@dataclass(frozen=True, slots=True)
class Term:
    """One term: its field or "", its word in lower case, and whether it must not match."""

    field: str
    word: str
    negated: bool = False

    def matches(self, view: MessageView, *, is_read: bool = False) -> bool:
        """Return whether a message has what the term asks for."""
        test = FIELDS.get(self.field)
        if self.field == "is":
            is_match = STATES[self.word](view, is_read)
        else:
            is_match = test(view, self.word) if test else _anywhere(view, self.word)
        return is_match != self.negated


def parse(query: str) -> list[Term]:
    """Return the terms of a search.

    An unknown field is part of the word, and so is one whose word it does not understand.
    """
    terms = []
    for minus, field, quoted, word in _TERM.findall(query[:LONGEST]):
        name, text = field.lower(), (quoted or word).lower()
        if name and not _is_understood(name, text):
            name, text = "", f"{name}:{text}"
        if text:
            terms.append(Term(name, text, bool(minus)))
    return terms


def matches(view: MessageView, terms: list[Term], read: Collection[int] = ()) -> bool:
    """Return whether a message matches all terms; `read` has the ids of those that were opened."""
    return all(term.matches(view, is_read=view.mail.id in read) for term in terms)


def _is_understood(field: str, word: str) -> bool:
    try:
        if field in ("larger", "smaller"):
            _octets(word)
        elif field in ("after", "before"):
            _moment(word)
    except ValueError:
        return False
    return word in STATES if field == "is" else field in FIELDS


def _octets(word: str) -> float:
    """Return a size such as "10", "1.5k" or "2mb". Raises ValueError."""
    size = _SIZE.fullmatch(word)
    if size is None:
        raise ValueError(f"{word!r} is not a size")
    return float(size[1]) * _UNITS[size[2]]


def _moment(word: str) -> float:
    """Return the seconds since 1970 of a date, in ISO 8601 or with slashes. Raises ValueError."""
    moment = dt.datetime.fromisoformat(word.replace("/", "-").upper())
    try:
        return moment.timestamp()
    except OverflowError as error:  # the year 1, in local time
        raise ValueError(str(error)) from None


def _anywhere(view: MessageView, word: str) -> bool:
    fields = view.search_text("From", "To", "Cc", "Bcc", "Subject")
    return word in fields or word in view.mail.mailbox.lower() or word in view.text.lower()
