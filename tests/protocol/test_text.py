"""Text that is harmless in a terminal."""

from __future__ import annotations

import json

import pytest

from restante.protocol.client.connection import ServerPeer
from restante.protocol.errors import ServerRefusedError
from restante.protocol.text import printable, printable_lines, to_json

I_WANT = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"  # Persian, with a joiner that it needs
FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße, 漢字", "Grüße, 漢字"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b31m\x07\x7f", r"\x9b31m\x07\x7f"),
        ("\u202etxt.exe\u2066", r"\u202etxt.exe\u2066"),
        ("\udc80", r"\udc80"),
        ("a\xa0b", "a\xa0b"),
        ("a\tb\r\nc", r"a b\r\nc"),
        ("an\u200bn\u2060\ufeff", r"an\u200bn\u2060\ufeff"),
        ("pay\u200dpal pay\u200cpal\u200d", r"pay\u200dpal pay\u200cpal\u200d"),
        ("ann\u3164\u2800\uffa0\u115f\ufe0f", r"ann\u3164\u2800\uffa0\u115f\ufe0f"),
        ("a\U000e0041\U000e0100\u034f", r"a\U000e0041\U000e0100\u034f"),
        (f"{FAMILY} \u2764\ufe0f 1\ufe0f\u20e3", f"{FAMILY} \u2764\ufe0f 1\ufe0f\u20e3"),
        (I_WANT, I_WANT),
    ],
)  # fmt: skip
def test_what_a_terminal_would_act_upon_is_visible(text: str, shown: str) -> None:
    """Control characters are shown as escapes."""
    assert printable(text) == shown


def test_no_character_alone_is_hidden() -> None:
    """Each character of Unicode is seen, or its escape is."""
    for code in range(0x110000):
        shown = printable(chr(code))
        assert shown.replace(chr(code), "").isprintable()
        assert shown == chr(code) or shown.isascii()


def test_lines_stay_lines() -> None:
    """Line ends divide, and everything else is escaped."""
    assert printable_lines("a\x1b\r\nb\rc\n") == "a\\x1b\nb\\rc\n"


def test_json_is_harmless_and_the_same() -> None:
    """JSON keeps every character's value, and shows none that acts on a terminal."""
    value = {"s": "Grüße\x1b\x7f\x9b\u202e\u2028\ud800\u3164\U000e0041\n", "漢": [1, None]}
    for indent in (None, 2):
        text = to_json(value, indent)
        assert json.loads(text) == value
        assert "Grüße" in text
        assert all(line.isprintable() for line in text.split("\n"))
        assert "\u3164" not in text


def test_errors_and_traces_are_harmless() -> None:
    """The text of an error is as it came; its `str`, and a trace, act on no terminal."""
    error = ServerRefusedError("refused", "no\x1b[2J\u202e", code="A\x9b", command="RETR 1\x07")
    assert str(error) == r"refused: [A\x9b] no\x1b[2J\u202e (after RETR 1\x07)"
    assert error.text == "no\x1b[2J\u202e"
    seen: list[str] = []
    ServerPeer(trace=lambda direction, line: seen.append(direction + line)).add_trace(
        "<", "+OK \x1b[2J\r\n"
    )
    assert seen == [r"<+OK \x1b[2J"]
