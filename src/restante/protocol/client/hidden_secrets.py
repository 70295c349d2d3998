"""Secrets that a server repeats, removed from its texts."""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HIDDEN = "***"  # the text in place of a secret
SHORT = 6  # characters: a shorter secret is hidden only as a whole word

_IN_BASE64 = "[A-Za-z0-9+/]"


class HiddenSecrets:
    """The secrets of a session, which no text of its server may show.

    A text is cut only after they are removed, because half of a secret would not be found.
    """

    def __init__(self) -> None:
        self._patterns: list[str] = []

    def add(self, *secrets: str) -> None:
        """Hide these secrets in all texts from now on, also where the server repeats them.

        They are hidden in upper and lower case, in base64 with whatever stands beside them, quoted
        as in a URL or as in IMAP, and as UTF-8 that was decoded as Latin-1.
        """
        for secret in filter(None, secrets):
            octets = secret.encode()
            coded = binascii.b2a_base64(octets, newline=False).decode().rstrip("=")
            spelled = "".join(map(_spellings, secret))
            self._add([_as_word(spelled, len(secret)), _as_word(re.escape(coded), len(coded))])
            self._add(_within_base64(octets))

    def add_response(self, coded: str) -> None:
        """Hide a response of AUTH, which is in base64. A short one has no secret."""
        if len(coded) >= SHORT:
            self._add([re.escape(coded.rstrip("="))])

    def add_all(self, others: HiddenSecrets) -> None:
        """Hide the secrets of another session, too."""
        self._add(others._patterns)

    def _add(self, patterns: Iterable[str]) -> None:
        self._patterns = sorted({*self._patterns, *patterns}, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """Return a text without the secrets; one may begin like another, which is longer."""
        for pattern in self._patterns:
            text = re.sub(pattern, HIDDEN, text, flags=re.IGNORECASE)
        return text


def _as_word(pattern: str, length: int) -> str:
    """Return a pattern of a form with some characters, only as a whole word if these are few."""
    return rf"(?<!\w)(?:{pattern})(?!\w)" if length < SHORT else pattern


def _spellings(character: str) -> str:
    """Return a pattern of a character in the forms in which a server may repeat it."""
    if character.isascii() and character.isalnum():
        return character
    forms = {r"\+"} if character == " " else set()
    for case in (character, character.upper(), character.lower()):  # upper() may make two of one
        octets = case.encode()
        forms |= {re.escape(case), re.escape(octets.decode("latin-1"))}
        forms.add("".join(f"%{octet:02X}" for octet in octets))
    if character in '"\\':
        forms.add(rf"\\{re.escape(character)}")
    return f"(?:{'|'.join(sorted(forms, key=len, reverse=True))})"


def _within_base64(octets: bytes) -> Iterator[str]:
    """Yield patterns of words in base64 that have some octets in them, as PLAIN has the password.

    Three octets make four characters, so there are three ways in which they can stand in a word.
    """
    for before in range(3):
        coded = binascii.b2a_base64(bytes(before) + octets, newline=False).decode()
        begin, end = (8 * before + 5) // 6, 8 * (before + len(octets)) // 6
        if end - begin >= SHORT:  # the characters that depend on these octets alone
            core = re.escape(coded[begin:end])
            yield rf"(?<!{_IN_BASE64}){_IN_BASE64}*{core}{_IN_BASE64}*=*"
