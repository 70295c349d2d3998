"""Text from servers and mail, made fit for a terminal."""

from __future__ import annotations

import unicodedata


def plain(text: str) -> str:
    r"""Return a line in which all that a terminal would act upon is visible, such as \x1b.

    That is what Python calls unprintable: controls (C0, C1), directions (bidi), surrogates and what
    Unicode has not named; odd spaces stay, and a tab becomes a space. A line end is escaped too.
    """
    text = text.replace("\t", " ")
    if text.isprintable():
        return text
    return "".join(c if _harmless(c) else c.encode("unicode_escape").decode() for c in text)


def plain_lines(text: str) -> str:
    """Return the same of a text of several lines."""
    return "\n".join(plain(line.removesuffix("\r")) for line in text.split("\n"))


def _harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"
