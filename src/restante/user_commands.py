"""Commands that users write into settings and options. They run without a shell."""

from __future__ import annotations

import os
import shlex


def split_command(command: str) -> list[str]:
    """Return the words of a command: quotes count, and `~/` before a word is the home folder.

    Raises ValueError: it is empty, or a quote is not closed.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        raise ValueError("a quote is not closed") from None
    if not words:
        raise ValueError("it is empty")
    return [os.path.expanduser(word) if word.startswith("~/") else word for word in words]
