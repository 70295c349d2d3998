"""Long texts in the width of a terminal."""

from __future__ import annotations

import os
import sys
from typing import TextIO

WIDEST = 84  # columns of a line, if the terminal has as many
NARROWEST = 12  # columns of a text, if its head leaves fewer
_SECOND = "\0"  # the second column of a wide character; no harmless text has it


def line_width() -> int:
    """Return how wide a line may be. COLUMNS or the terminal has the width, as for `shutil`.

    `shutil` itself would load all modules for compressed files.
    """
    stated = os.environ.get("COLUMNS", "")
    if stated.isdecimal() and int(stated):
        return min(WIDEST, int(stated))
    try:
        return min(WIDEST, os.get_terminal_size().columns or WIDEST)
    except OSError:  # standard output is closed, or a file, or a pipe
        return WIDEST


def wrap_hanging(head: str, text: str, *, wrap: bool, most: int = 0, spare: int = 0) -> list[str]:
    """Return a text after its head, as lines that hang below the text's beginning.

    Without `wrap` it is one line, for programs. A word is broken only if it would fill
    lines by itself: it may be an address. `most` is how many lines there may be, 0 for all, and
    `spare` how many columns stay free at the end.
    """
    if not wrap:
        return [head + text]
    import textwrap  # programs need none of it

    width = max(NARROWEST, line_width() - len(head) - spare)
    text = _widen(text)
    endless = max(map(len, text.split()), default=0) > 2 * width
    lines = textwrap.wrap(text, width, break_long_words=endless, break_on_hyphens=False)
    if most and len(lines) > most:
        lines = [*lines[:most], "..."]
    indent = " " * len(head)
    lines = [line.replace(_SECOND, "") for line in lines or [""]]
    return [(indent if place else head) + line for place, line in enumerate(lines)]


def _widen(text: str) -> str:
    """Return a text with one more character for each character of two columns."""
    if text.isascii():
        return text
    from wcwidth import wcwidth

    return "".join(c + _SECOND * (wcwidth(c) - 1) for c in text)


def line_columns(line: str) -> int:
    """Return how many columns of a terminal a harmless line takes."""
    return len(_widen(line))


def is_terminal(stream: TextIO | None = None) -> bool:
    """Return whether a stream is a terminal, by default standard output."""
    return (stream or sys.stdout).isatty()


def may_use_escapes() -> bool:
    """Return whether a terminal may get escapes that move the cursor; one that is dumb may not."""
    return os.environ.get("TERM") != "dumb"


def may_use_colours() -> bool:
    """Return whether a terminal may get colours. NO_COLOR: no-color.org."""
    return may_use_escapes() and not os.environ.get("NO_COLOR")
