"""SASLprep, RFC 4013: one form of a name or a password for all ways to type it."""

from __future__ import annotations

import stringprep
import unicodedata

_PROHIBITED = (
    stringprep.in_table_c12,  # spaces beyond ASCII
    stringprep.in_table_c21_c22,  # control characters
    stringprep.in_table_c3,  # private use
    stringprep.in_table_c4,  # noncharacters
    stringprep.in_table_c5,  # surrogates
    stringprep.in_table_c6,  # inappropriate for plain text
    stringprep.in_table_c7,  # inappropriate for canonical representation
    stringprep.in_table_c8,  # change the display
    stringprep.in_table_c9,  # tags
)


LONGEST = 255  # octets of a name or a password, also once it is prepared: RFC 4616 section 2
TOO_LONG = f"more than {LONGEST} octets"


class TooLongError(ValueError):
    """A name or a password has more than 255 octets, or would have once it is prepared."""


def saslprep(text: str, *, query: bool = False) -> str:
    """Return text prepared for comparison. Raises ValueError: it has prohibited characters.

    Only a query may have characters that were unassigned in Unicode 3.2: RFC 4013 section 2.5.
    """
    if text.isascii() and text.isprintable():
        return text
    return _check(_map(text), query=query)


def account_name(octets: bytes) -> str:
    """Return the name that a client sent, prepared, and without spaces at its end.

    Keyboards of telephones add such a space. Raises ValueError: the name is not UTF-8, has more
    than 255 octets, also once it is prepared, or has prohibited characters.
    """
    if len(octets) > LONGEST:
        raise TooLongError(TOO_LONG)
    text = octets.decode()
    if not (text.isascii() and text.isprintable()):  # as with most names, nothing need be done
        mapped = _map(text)
        _check_length(mapped.encode())  # before each character costs time: one may become 18
        text = _check(mapped)
    return text.rstrip(" ")


def _check(prepared: str, *, query: bool = False) -> str:
    _check_characters(prepared)
    if not query and any(map(stringprep.in_table_a1, prepared)):
        raise ValueError("a character that is not assigned")
    _check_directions(prepared)
    return prepared


def check_password(octets: bytes) -> None:
    """Raise ValueError: it is not UTF-8, or has characters that RFC 4013 section 2.3 prohibits.

    Raises TooLongError. RFC 6856 section 2.2. The other rules of SASLprep are not applied: a
    password that breaks them may be the correct one.
    """
    if len(octets) > LONGEST:
        raise TooLongError(TOO_LONG)
    text = octets.decode()
    if not (text.isascii() and text.isprintable()):
        mapped = _map(text)
        _check_length(mapped.encode())
        _check_characters(mapped)


def _check_length(octets: bytes) -> None:
    if len(octets) > LONGEST:
        raise TooLongError(TOO_LONG)


def _map(text: str) -> str:
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c)
    )
    return unicodedata.normalize("NFKC", mapped)


def _check_characters(text: str) -> None:
    if any(prohibited(c) for c in text for prohibited in _PROHIBITED):
        raise ValueError("a character that is prohibited")


def _check_directions(text: str) -> None:
    """RFC 3454 section 6: text that runs to the left does so from end to end."""
    if any(map(stringprep.in_table_d1, text)) and (
        any(map(stringprep.in_table_d2, text))
        or not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1]))
    ):
        raise ValueError("letters that run to the left and to the right")
