"""The text of a page of HTML, as a person reads it: one pass, and no tree.

Scripts, styles and comments are left out, and a link shows where it leads. This is a hand-written
reader because each octet must be looked at a bounded number of times, whatever the page has.
"""

from __future__ import annotations

import html
import re

LONGEST_TAG = 4096  # characters of a link's tag that are searched for where it leads
LONGEST_LINK = 600  # characters of a text that are searched for a link

_BLOCKS = re.compile(
    r"address|article|aside|blockquote|body|br|center|dd|div|dl|dt|fieldset|figure|footer|form|h[1-6]"
    r"|header|hr|li|main|nav|ol|option|p|pre|section|table|tbody|tfoot|thead|tr|ul"
)
_UNSEEN = frozenset(("script", "style", "title", "template"))
_PREFORMATTED = frozenset(("listing", "plaintext", "pre", "textarea", "xmp"))
_KEPT = "\0"  # before a line whose blanks count
_START = re.compile("<(?=[A-Za-z/!?])")
_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9:-]{0,40})")
_PART = re.compile(r"""[^"'>]*""")
_LINK = re.compile(
    r"""\shref\s{0,9}=\s{0,9}["']?\s{0,9}((?:https?|mailto):[^"'\s>]{1,500})""", re.IGNORECASE
)
_REFERENCE = re.compile(r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?")
_INVISIBLE = dict.fromkeys((0xAD, 0x34F, 0x200B, 0x200C, 0xFEFF))  # fillers of advertisements
_BLANKS = re.compile(r"[ \t\r\f\xa0]+")


def text_of(page: str) -> str:
    """Return the text of a page, a line for each block. Raises nothing, in linear time."""
    reader = _HtmlReader(page)
    reader.read()
    lines = "".join(reader.text).split("\n")
    return "\n".join(line for line in map(_line, lines) if line is not None).strip("\n")


def _line(line: str) -> str | None:
    """Return a line with its blanks as they are shown, None for none: preformatted ones stay."""
    if line.startswith(_KEPT):
        return line.removeprefix(_KEPT).replace(_KEPT, "").replace("\xa0", " ").rstrip()
    return _BLANKS.sub(" ", line.replace(_KEPT, "")).strip() or None


class _HtmlReader:
    """The place in a page, and the text so far."""

    def __init__(self, page: str) -> None:
        self.text: list[str] = []
        self._page, self._lower = page, page.lower() if page.isascii() else _ascii_lower(page)
        self._place = 0
        self._link = ""
        self._preformatted = False  # line ends and blanks count
        self._endless: set[str] = set()  # elements that are not closed any more
        self._quotes = True  # attributes end where their quotes do, as far as is known

    def read(self) -> None:
        """Read the page to its end."""
        page = self._page
        while self._place < len(page):
            begin = _START.search(page, self._place)
            end = begin.start() if begin else len(page)
            if end > self._place:
                self._add_text(page[self._place : end])
            self._place = end
            if begin:
                self._read_markup()

    def _add_text(self, text: str) -> None:
        text = _REFERENCE.sub(lambda match: html.unescape(match[0]), text).translate(_INVISIBLE)
        text = text.replace(_KEPT, " ")
        if self._preformatted:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
            if self.text[-1] == f"\n{_KEPT}":  # a line end after the tag does not count
                text = text.removeprefix("\n")
            self.text.append(text.replace("\n", f"\n{_KEPT}"))
            return
        self.text.append(text.replace("\n", " ").replace("\r", " "))

    def _read_markup(self) -> None:
        """Pass over a tag or a comment; a lone "<" is text."""
        page, place = self._page, self._place
        if page.startswith("<!--", place):
            self._place = self._skip_past("-->", place + 2)
        elif page.startswith(("<!", "<?"), place):
            self._place = self._skip_past(">", place)
        elif match := _TAG.match(page, place):
            self._place = self._find_tag_end(match.end())
            self._read_tag(match[1].lower(), closing=page[place + 1] == "/", begin=place)
        else:
            self._add_text("<")
            self._place = place + 1

    def _skip_past(self, mark: str, place: int) -> int:
        """Return the place after a mark; the end of the page where it does not come."""
        position = self._lower.find(mark, place)
        return position + len(mark) if position >= 0 else len(self._page)

    def _find_tag_end(self, place: int) -> int:
        """Return the place after a tag. Once a quote stays open, quotes count no more."""
        page, start = self._page, place
        while self._quotes:
            match = _PART.match(page, place)
            place = match.end() if match else len(page)
            if place >= len(page):
                break
            if page[place] == ">":
                return place + 1
            place = page.find(page[place], place + 1) + 1
            if not place:
                break
        self._quotes = False
        found_end = page.find(">", start)
        if found_end < 0:
            self._add_text(page[self._place :])
        return found_end + 1 or len(page)

    def _skip_element(self, name: str) -> None:
        """Pass over an element that is not seen, if it has an end."""
        end = -1 if name in self._endless else self._lower.find(f"</{name}", self._place)
        if end < 0:
            self._endless.add(name)
        else:
            self._place = self._skip_past(">", end)

    def _read_tag(self, name: str, *, closing: bool, begin: int) -> None:
        if name in _UNSEEN and not closing:
            self._skip_element(name)
        elif name in _PREFORMATTED:
            self._preformatted = not closing
            if closing and self.text:
                self.text[-1] = self.text[-1].removesuffix(f"\n{_KEPT}")
            self.text.append("\n" if closing else f"\n{_KEPT}")
        elif name == "br" and self._preformatted:
            self.text.append(f"\n{_KEPT}")
        elif _BLOCKS.fullmatch(name):
            self.text.append("\n")
        elif name in ("td", "th"):
            self.text.append(" ")
        elif name == "a":
            if self._link not in self._last_text():
                self.text.append(f" <{self._link}>")
            end = begin if closing else min(self._place, begin + LONGEST_TAG)
            match = _LINK.search(self._page, begin, end)
            self._link = html.unescape(match[1]).removeprefix("mailto:") if match else ""

    def _last_text(self) -> str:
        """Return the end of the text so far, in which a link may show where it leads."""
        return "".join(text[-LONGEST_LINK:] for text in self.text[-3:])


def _ascii_lower(text: str) -> str:
    """Return a text of the same length with ASCII's letters in lower case."""
    return text.translate({code: code + 32 for code in range(65, 91)})
