"""JSON objects of strangers."""

from __future__ import annotations

import pytest

from restante.oauth.json_objects import read_object

NOTHING = [
    b"",
    b"{",
    b"[]",
    b"5",
    b"\xff",
    b"[\xff]",
    b"[" * 100_000,
    b'{"a": ' + b"9" * 5000 + b"}",
]


def test_an_object() -> None:
    """An object is returned, with the last of several values of a name."""
    assert read_object(b'{"a": 1, "a": [2, "\xc3\xbc"]}') == {"a": [2, "ü"]}


@pytest.mark.parametrize("octets", NOTHING)
def test_no_object(octets: bytes) -> None:
    """Anything else is None, however deep or large it is."""
    assert read_object(octets) is None


def test_halves_of_characters() -> None:
    """A pair of halves is a character, and a half alone is U+FFFD."""
    assert read_object(b'{"\\ud800": "\\ud83d\\ude00"}') == {"\ufffd": "\U0001f600"}


def test_octets_of_another_charset() -> None:
    """The code of an error counts, though its words are in Latin-1."""
    found = read_object(b'{"error": "invalid_grant", "error_description": "ung\xfcltig"}')
    assert found == {"error": "invalid_grant", "error_description": "ung\ufffdltig"}
