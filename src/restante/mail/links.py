"""The links of a message, listed for a reader and never followed. Linear in the octets."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINKS = 200  # links of a message
LONGEST = 2000  # characters of a link

_URL = re.compile(rf"""https?://[^\s<>"'\x00-\x1f]{{1,{LONGEST}}}""", re.IGNORECASE)
_HREF = re.compile(
    rf"""\bhref\s{{0,9}}=\s{{0,9}}(?:"([^"<>]{{1,{LONGEST}}})"|'([^'<>]{{1,{LONGEST}}})'|([^\s"'<>]{{1,{LONGEST}}}))""",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"(?:https?|mailto|tel):", re.IGNORECASE)
_AFTER = ".,;:!?"


def find_links(text: str, page: str) -> list[str]:
    """Return where the HTML `page` leads, then what `text` names besides, each once, in order."""
    links: dict[str, None] = {}
    for link in (*_links_of_page(page), *_links_of_text(text)):
        if len(links) >= MAX_LINKS:
            break
        links[link] = None
    return list(links)


def _links_of_page(page: str) -> Iterator[str]:
    for match in _HREF.finditer(page):
        link = html.unescape(next(part for part in match.groups() if part is not None)).strip()
        if _SCHEME.match(link):
            yield link


def _links_of_text(text: str) -> Iterator[str]:
    for match in _URL.finditer(text):
        link = match[0].rstrip(_AFTER)
        unopened = link.count(")") - link.count("(")
        while unopened > 0 and link.endswith(")"):
            link, unopened = link[:-1].rstrip(_AFTER), unopened - 1
        yield link
