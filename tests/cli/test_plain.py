"""Text that is harmless in a terminal."""

from __future__ import annotations

import pytest

from restante.cli.plain import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße, 漢字", "Grüße, 漢字"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b31m\x07\x7f", r"\x9b31m\x07\x7f"),
        ("\u202etxt.exe\u2066", r"\u202etxt.exe\u2066"),
        ("\udc80", r"\udc80"),
        ("a\xa0b", "a\xa0b"),
    ],
)
def test_what_a_terminal_would_act_upon_is_visible(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_no_character_of_unicode_gets_through_unless_it_can_be_seen() -> None:
    for code in range(0x110000):
        shown = plain(chr(code))
        assert shown.replace(chr(code), "").isprintable()
        assert shown == chr(code) or shown.isascii()
