"""Columns of a terminal."""

from __future__ import annotations

import subprocess
import sys

import pytest

from restante.cli.output.units import count_columns, cut, fill, pad, widest

WIDE = "\u65e5\u672c"  # two characters, four columns
ACCENT = "e\u0301"  # two characters, one column


@pytest.mark.parametrize(("text", "columns"), [("ann", 3), (WIDE, 4), (ACCENT, 1), ("", 0)])
def test_columns(text: str, columns: int) -> None:
    """Texts are as wide as a terminal shows them."""
    assert count_columns(text) == columns
    assert fill(text, 6) == pad(text, 6) == text + " " * (6 - columns)


def test_long_text() -> None:
    """A column is cut; a text that is only filled stays whole."""
    assert pad(WIDE * 3, 8) == cut(WIDE * 3, 8) + " " == f"{WIDE}... "
    assert fill(WIDE * 3, 8) == WIDE * 3


def test_widest() -> None:
    """The widest text is not the one with the most characters; control characters are escaped."""
    assert widest(["abc", WIDE]) == 4
    assert widest(["a\x1b"]) == len("a\\x1b") == len(fill("a\x1b", 0))
    assert widest([]) == 0


def test_start() -> None:
    """Texts in ASCII load no tables of widths."""
    code = (
        "import sys\nfrom restante.cli.output.units import count_columns\ncount_columns('ann')\n"
        "assert 'wcwidth' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
