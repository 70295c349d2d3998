"""The list of messages fits the terminal."""

from __future__ import annotations

import datetime as dt

import pytest

from restante.cli.output.message_summary import MessageSummary
from restante.cli.output.message_table import message_table
from restante.cli.output.units import count_columns

SENT = dt.datetime(2026, 11, 29, 8, 0, tzinfo=dt.UTC)
SUMMARIES = {
    1: MessageSummary("ann.smith@mail.example.com", "A subject of many words " * 9, SENT),
    2: MessageSummary("\u65e5\u672c", "\u9577\u3044\u8868\u984c" * 20, SENT, attachments=12),
    3: MessageSummary("\u05d9\u05d5\u05e1\u05d9", "\u05e9\u05dc\u05d5\u05dd " * 20, mixed=True),
    4: MessageSummary("b", "c", date_text="some day, and perhaps another"),
    5: MessageSummary(error="[SYS/TEMP] The message cannot be read now."),
    6: MessageSummary(known=False),
}


@pytest.mark.parametrize("width", [40, 50, 60, 72, 80, 100])
def test_lines_fit_the_terminal(width: int) -> None:
    """No line is wider than the terminal, and each one has a part of the subject."""
    sizes = dict.fromkeys(range(1, 7), 123_456)
    lines = list(message_table(sizes, SUMMARIES, marked={2, 3}, width=width))
    assert max(map(count_columns, lines)) <= width
    assert "A sub" in lines[1]
    assert "\u9577" in lines[2]
    assert "\u05e9" in lines[3]


def test_columns_of_a_common_terminal() -> None:
    """A terminal of 80 columns shows all columns and notes."""
    lines = list(message_table(dict.fromkeys(range(1, 4), 999), SUMMARIES, width=80))
    assert lines[0].split() == ["#", "size", "date", "from", "subject"]
    assert lines[2].endswith("...  [12 attachments]")
    assert lines[3].endswith("...  [attachments]")
    assert "ann.smith@mai" in lines[1]


def test_columns_of_a_narrow_terminal() -> None:
    """A narrow terminal has no dates and no notes, so that it has senders and subjects."""
    lines = list(message_table(dict.fromkeys(range(1, 4), 999), SUMMARIES, width=40))
    assert lines[0].split() == ["#", "size", "from", "subject"]
    assert lines[1].startswith("  1  999 B  ann.smi...  A subject")
    assert "attachments" not in "".join(lines)
