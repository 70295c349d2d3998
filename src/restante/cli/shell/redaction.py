"""Where a typed line holds a secret."""

from __future__ import annotations

import re

HIDDEN = "***"

_BEFORE_SECRET = re.compile(r"\s*(?:PASS\s|(?:APOP|AUTH)\s+\S+\s)\s*", re.IGNORECASE)


def secret_start(line: str) -> int:
    """Return the index at which the secret of a line begins, its length without one."""
    match = _BEFORE_SECRET.match(line)
    return match.end() if match else len(line)


def without_secrets(text: str) -> str:
    """Return lines as they may be kept or shown."""
    return "\n".join(map(_without_secret, text.split("\n")))


def _without_secret(line: str) -> str:
    start = secret_start(line)
    return line if start == len(line) else line[:start] + HIDDEN
