"""Replies in other languages than English. RFC 6856 section 3.

A test finds every text in the sources and requires it in every catalogue. A text that is missing
nevertheless is sent in English.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.protocol.translations.catalogues import FRENCH, GERMAN, SPANISH

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "en"


@dataclass(frozen=True, slots=True)
class Language:
    """A language by its tag (RFC 5646) and its name in itself, and the English texts in it."""

    tag: str
    name: str
    texts: Mapping[str, str]


LANGUAGES = {
    language.tag: language
    for language in (
        Language(DEFAULT, "English", {}),
        Language("de", "Deutsch", GERMAN),
        Language("es", "Español", SPANISH),
        Language("fr", "Français", FRENCH),
    )
}


def translate(text: str, tag: str) -> str:
    """Return an English text in another language; places in braces stay."""
    return text if tag == DEFAULT else LANGUAGES[tag].texts.get(text, text)


def match(tag: str) -> str | None:
    """Return the supported language that a tag asks for, such as "de" for "de-AT"; None for none.

    RFC 4647 section 3.4, lookup: the last parts of the tag are removed until the rest is supported.
    """
    tag = tag.lower()
    while tag and tag not in LANGUAGES:
        tag = tag.rpartition("-")[0]
    return tag or None
