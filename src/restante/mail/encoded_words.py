"""Encoded words in header fields: RFC 2047, read as mail programs read them."""

from __future__ import annotations

import binascii
import re

from restante.mail import charset

_WORD = re.compile(rb"=\?([!->@-~]{1,80})\?([bBqQ])\?([^?]*)\?=")
_NOT_BASE64 = bytes(c for c in range(256) if not (chr(c).isascii() and chr(c).isalnum()))
_NOT_BASE64 = _NOT_BASE64.replace(b"+", b"").replace(b"/", b"")
_LINE_ENDS = str.maketrans("\r\n", "  ")


def decode(octets: bytes) -> str:
    """Return a field's text in one line, its encoded words decoded. Raises nothing.

    Blanks between two encoded words do not count. Neighbours in one charset are decoded together:
    many programs split a character between them.
    """
    text: list[str] = []
    place, held, label = 0, b"", ""
    for match in _WORD.finditer(octets):
        between = octets[place : match.start()]
        declared = match[1].decode("ascii").partition("*")[0].lower()
        if not place or between.strip(b" \t\r\n") or declared != label:
            text.append(charset.decode(held, label) if held else "")
            text.append(charset.decode(between) if between.strip() or not held else "")
            held, label = b"", declared
        held += _word(match[2], match[3])
        place = match.end()
    text.append(charset.decode(held, label) if held else "")
    text.append(charset.decode(octets[place:]))
    return "".join(text).translate(_LINE_ENDS)


def _word(kind: bytes, text: bytes) -> bytes:
    if kind in b"qQ":
        return binascii.a2b_qp(text.replace(b"_", b"=20"))
    return base64_run(text)


def base64_run(text: bytes) -> bytes:
    """Return what base64 says before its padding. Octets that are not base64 do not count."""
    letters = text.partition(b"=")[0].translate(None, _NOT_BASE64)
    letters = letters[: len(letters) - (len(letters) % 4 == 1)]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
