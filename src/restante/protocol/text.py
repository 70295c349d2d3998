"""Text from other people, made harmless: for terminals, logs and JSON. Unicode TR 36 section 3."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Printable by Python's rule, and nothing is seen of them: fillers of Hangul and Braille, joiners
# and selectors. Two of these names look the same and are not. It is compiled at its first use.
_UNSEEN = (
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U0001d159\U000e0100-\U000e01ef]"
)
_SELECTORS = "\ufe0e\ufe0f"  # of the look of a symbol: text or emoji
_JOINERS = "\u200c\u200d"  # between letters of Arabic and Indian scripts, and in emoji
_JOINED = frozenset({"Lo", "Mc", "Mn", "So", "Sk"})  # categories on both sides of a joiner
_SELECTED = frozenset({"So", "Sm", "Po", "Nd"})  # categories before a selector


def printable(text: str) -> str:
    r"""Return a line in which all that acts on a terminal, or hides, is visible, such as \x1b.

    Controls (C0, C1), directions (bidi), surrogates, line ends, and what Unicode has not named are
    escaped. Characters of no width are escaped too, but where a script or an emoji needs them. A
    tab becomes a space; odd spaces stay.
    """
    text = text.replace("\t", " ")
    if text.isprintable() and (text.isascii() or not re.search(_UNSEEN, text)):
        return text
    return _escape(text, lambda c: c.encode("unicode_escape").decode())


def printable_lines(text: str) -> str:
    """Return a text of several lines, each made harmless by `printable`."""
    return "\n".join(printable(line.removesuffix("\r")) for line in text.split("\n"))


def shorten_lines(text: str) -> str:
    """Return an error with at most 2000 characters of each line: its beginning and its end."""
    return re.sub(r"(?m)^(.{1000}).+(.{1000})$", r"\1 ... \2", text)


def to_json(value: object, indent: int | None = None) -> str:
    r"""Return a value as JSON that a person can read and no terminal acts upon.

    Letters stay; what `printable` escapes is escaped as JSON does, such as \u001b.
    """
    import json  # no other output needs it

    def escape(character: str) -> str:
        return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]

    lines = json.dumps(value, indent=indent, ensure_ascii=False).split("\n")
    return "\n".join(_escape(line, escape) for line in lines)


def _escape(text: str, escape: Callable[[str], str]) -> str:
    characters = zip(("", *text), text, (*text[1:], ""), strict=False)
    return "".join(c if _is_harmless(b, c, a) else escape(c) for b, c, a in characters)


def _is_harmless(before: str, character: str, after: str) -> bool:
    if character in _JOINERS:
        return _category(before) in _JOINED and _category(after) in _JOINED
    if character in _SELECTORS:
        return _category(before) in _SELECTED
    if re.search(_UNSEEN, character):
        return False
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _category(character: str) -> str:
    """Return a character's category, "" for an invisible or unassigned one."""
    if not character or (re.search(_UNSEEN, character) and character not in _SELECTORS):
        return ""
    return unicodedata.category(character)


def decode_text(octets: bytes) -> str:
    """Return text from a peer: UTF-8, else Latin-1, which accepts every octet."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


class SecretOctets(bytes):
    """Octets that a `repr` does not show: tools that report errors print each frame's variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"
