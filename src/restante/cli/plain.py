"""Text from servers and mail, fit for a terminal."""

from __future__ import annotations


def plain(text: str) -> str:
    r"""Return a text with everything that could act on a terminal as visible escapes.

    Control characters, changes of direction, surrogates and other characters that do not print
    become \\x1b or \\u202e. A tab becomes a space.
    """
    text = text.replace("\t", " ")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def plain_lines(text: str) -> str:
    """Return the same of a text of several lines."""
    return "\n".join(plain(line.removesuffix("\r")) for line in text.split("\n"))
