"""Golden files: what Restante says today, in this folder, compared by the tests beside them.

RESTANTE_REWRITE_GOLDEN=1 pytest tests/golden writes them anew. What varies from run to run becomes
a placeholder by a rule.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
REWRITE = "RESTANTE_REWRITE_GOLDEN"

RULES = [
    (r"\w{3}, \d\d? \w{3} \d{4} [\d:]+ [+-]\d{4}", "DATE"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "TIME"),
    (r"\d{4}-\d\d-\d\d( [\d:]+( UTC)?)?", "DATE"),
    (r'("seconds": |\bseconds=)[\d.e-]+', r"\1SECONDS"),
    (r"\(\d+ ms\)", "(MS)"),
    (r" +\d+ ms\b", " MS"),
    (r"\b(time|login)=\d+\.\d+s", r"\1=SECONDS"),
    (r"\b\d+\.\d+ s\b", "SECONDS"),
    (r"\bTLS_[A-Z0-9_]+", "CIPHER"),
    (r"(127\.0\.0\.1|\[::1\]|localhost):\d{4,}", r"\1:PORT"),
    (r"\bport \d{4,5}\b", "port PORT"),
]
"""Patterns of text that varies, and its placeholders; applied in this order."""


def masked(text: str, found: Mapping[object, str] | None = None) -> str:
    """Return a text with placeholders: for these values first, then by the rules."""
    for value, placeholder in (found or {}).items():
        text = text.replace(str(value), placeholder)
    for pattern, placeholder in RULES:
        text = re.sub(pattern, placeholder, text)
    return text


def sections(parts: Iterable[tuple[str, str]]) -> str:
    """Return titled parts as one text."""
    return "\n".join(f"== {title}\n{text.rstrip()}\n" for title, text in parts)


def shown(octets: bytes) -> str:
    """Return a line of the wire; all but ASCII and the CRLF at its end is escaped."""
    line = octets.removesuffix(b"\r\n")
    text = line.decode("latin-1").encode("unicode_escape").decode()
    return text if octets.endswith(b"\r\n") else f"{text} (no CRLF)"


def compare(name: str, text: str, folder: Path = FOLDER) -> None:
    """Compare a text with a golden file; the test fails with a unified diff, or writes the file."""
    file = folder / name
    if os.environ.get(REWRITE):
        if os.environ.get("CI"):
            pytest.fail(f"{REWRITE} is set in CI, where golden files are only compared")
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text.encode())  # not write_text, for which a CR ends a line
        pytest.skip(f"tests/golden/{name} is written; read its diff")
    recorded = file.read_bytes().decode() if file.exists() else ""
    if text != recorded:
        before, now = recorded.splitlines(), text.splitlines()
        diff = difflib.unified_diff(before, now, f"tests/golden/{name}", "now", lineterm="")
        again = f"If this is on purpose: {REWRITE}=1 pytest tests/golden"
        pytest.fail("\n".join([*diff, "", again]), pytrace=False)
