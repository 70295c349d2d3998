"""Every text that a client may read stands in every catalogue: RFC 6856 section 3."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import restante
from restante.protocol.translations.languages import DEFAULT, LANGUAGES, match

SOURCES = Path(restante.__file__).parent
SAYS = {"Refusal", "BadCommand", "translate", "say"}


def texts() -> set[str]:
    files = [file for layer in ("protocol", "server") for file in (SOURCES / layer).rglob("*.py")]
    files = [file for file in files if "auth_socket" not in file.parts]  # mail servers have no LANG
    return {text for file in files for text in texts_of(ast.parse(file.read_text()))}


def texts_of(tree: ast.Module) -> Iterator[str]:
    """Return the first argument of every call that makes a text, given as it is or by a name."""
    named: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                named.setdefault(name, []).append(text)
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[first, *_]):
                if name in SAYS or (name == "__init__" and isinstance(first, ast.Constant)):
                    yield from strings_of(first, named)


def strings_of(node: ast.expr, named: dict[str, list[str]]) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Name(id=name):
            return named.get(name, [])
    return []


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_search_finds_texts_of_all_kinds() -> None:
    """The search finds the texts of replies in every form of code."""
    found = texts()
    assert {"Logged in.", "There's no message {number}.", "Line too long."} <= found
    assert {"The mail store needs its administrator.", "{count} messages:"} <= found


@pytest.mark.parametrize("tag", sorted(LANGUAGES.keys() - {DEFAULT}))
def test_a_catalogue_is_complete_and_holds_nothing_else(tag: str) -> None:
    """A catalogue has a translation of each text, and no other."""
    assert set(LANGUAGES[tag].texts) == texts()


@pytest.mark.parametrize("tag", sorted(LANGUAGES.keys() - {DEFAULT}))
def test_a_translation_has_the_places_of_its_text(tag: str) -> None:
    """A translation has the placeholders of its text."""
    for text, translation in LANGUAGES[tag].texts.items():
        assert places(translation) == places(text), text
        assert not translation.startswith("[")  # rfc2449-s3/response-code


@pytest.mark.parametrize(
    ("wish", "tag"),
    [("de", "de"), ("DE-at", "de"), ("fr-x-y-z", "fr"), ("en-GB", "en"), ("it", None), ("", None)],
)
def test_the_closest_language_is_found(wish: str, tag: str | None) -> None:
    """The closest language to a tag is found."""
    assert match(wish) == tag


def test_no_status_before_a_capability_list_has_a_period() -> None:
    """Programs such as nmap's pop3-capabilities read up to the first period."""
    listings = {"Capability list follows", "Languages follow", "Mechanisms follow"}
    assert listings <= texts()
    said = [language.texts.get(text, text) for language in LANGUAGES.values() for text in listings]
    assert not [text for text in said if "." in text]
