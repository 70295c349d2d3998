"""Names of files that a message suggests, made fit for a folder of the reader's."""

from __future__ import annotations

import re

MAX_OCTETS = 240  # of a name in UTF-8: folders take 255, and a duplicate gets a number
LONGEST_EXTENSION = 20  # octets, the period counted

_FORBIDDEN = re.compile(r'[:*?"<>|]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE | re.DOTALL)
_EXTENSION = re.compile(r"(?:\.tar)?\.[^. ]+$", re.IGNORECASE)


def safe_name(name: str, default: str = "attachment") -> str:
    """Return a name for a new file that leads nowhere else, hides nothing and fits a folder.

    What is too long is cut before the extension, between two characters.
    """
    base = re.split(r"[/\\]", name.strip().rstrip("/\\"))[-1]
    base = "".join(c if c.isprintable() else " " * c.isspace() for c in base)
    base = _FORBIDDEN.sub("_", " ".join(base.split())).lstrip(". ").rstrip(". ")
    if base.startswith(("-", "~")):
        base = f"_{base[1:]}"
    if _RESERVED.fullmatch(base):
        base = f"_{base}"
    match = _EXTENSION.search(base[-LONGEST_EXTENSION:])
    extension = match[0] if match else ""
    if len(extension.encode()) > LONGEST_EXTENSION:
        extension = ""
    stem = base.removesuffix(extension)
    return cut(stem, MAX_OCTETS - len(extension.encode())) + extension or default


def cut(text: str, max_octets: int) -> str:
    """Return the start of a text, with at most this many octets in UTF-8."""
    return text.encode()[:max_octets].decode(errors="ignore").rstrip(". ") if text else ""


def add_number(name: str, count: int) -> str:
    """Return a name for a file whose name is taken, such as "bill (2).pdf"."""
    if count == 1:
        return name
    match = _EXTENSION.search(name)
    extension = match[0] if match and match.start() else ""
    return f"{name.removesuffix(extension)} ({count}){extension}"
