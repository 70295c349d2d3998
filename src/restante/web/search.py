"""The language of the search field: `from:shop subject:"your order" -has:attachment`.

All terms must match, in any case of letters. A term is a word, FIELD:WORD, or either with a minus
before it, and a word in quotes may have blanks. Mailpit's searches have the same form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.web.message_view import MessageView

LONGEST = 1000  # characters of a search that are read

_TERM = re.compile(r'(-?)(?:([A-Za-z-]{1,20}):)?(?:"([^"]*)"?|(\S+))')


def _has(view: MessageView, word: str) -> bool:
    return {
        "attachment": bool(view.attachments),
        "attachments": bool(view.attachments),
        "html": bool(view.html),
        "link": bool(view.links),
        "links": bool(view.links),
    }.get(word, False)


FIELDS: dict[str, Callable[[MessageView, str], bool]] = {
    "from": lambda view, word: word in view.search_text("From"),
    "to": lambda view, word: (
        word in view.search_text("To", "Cc", "Bcc") or word in view.mail.mailbox.lower()
    ),
    "cc": lambda view, word: word in view.search_text("Cc"),
    "bcc": lambda view, word: word in view.search_text("Bcc"),
    "reply-to": lambda view, word: word in view.search_text("Reply-To"),
    "addressed": lambda view, word: word in view.search_text("From", "To", "Cc", "Bcc", "Reply-To"),
    "subject": lambda view, word: word in view.search_text("Subject"),
    "message-id": lambda view, word: word.strip("<>") in view.search_text("Message-ID"),
    "mailbox": lambda view, word: word == view.mail.mailbox.lower(),
    "tag": lambda view, word: word in map(str.lower, view.mail.tags),
    "id": lambda view, word: word in (str(view.mail.id), view.mail.uid.lower()),
    "body": lambda view, word: word in view.text.lower() or word in view.html.lower(),
    "has": _has,
}
"""The comparison of each field of a search."""


@dataclass(frozen=True, slots=True)
class Term:
    """One term: its field or "", its word in lower case, and whether it must not match."""

    field: str
    word: str
    negated: bool

    def matches(self, view: MessageView) -> bool:
        """Return whether a message has what the term asks for."""
        test = FIELDS.get(self.field)
        is_match = test(view, self.word) if test else _anywhere(view, self.word)
        return is_match != self.negated


def parse(query: str) -> list[Term]:
    """Return the terms of a search. An unknown field is part of the word."""
    terms = []
    for minus, field, quoted, word in _TERM.findall(query[:LONGEST]):
        name, text = field.lower(), (quoted or word).lower()
        if name and name not in FIELDS:
            name, text = "", f"{name}:{text}"
        if text:
            terms.append(Term(name, text, bool(minus)))
    return terms


def matches(view: MessageView, terms: list[Term]) -> bool:
    """Return whether a message matches all terms."""
    return all(term.matches(view) for term in terms)


def _anywhere(view: MessageView, word: str) -> bool:
    fields = view.search_text("From", "To", "Cc", "Bcc", "Subject")
    return word in fields or word in view.mail.mailbox.lower() or word in view.text.lower()
