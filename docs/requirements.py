"""Which tests prove which requirement.

A test proves those whose ids its docstring names; so does a whole module by its own docstring, and
a transcript by its comments.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

DOCS = Path(__file__).parent
TESTS = DOCS.parent / "tests"
ID = re.compile(r"\b(?:[ADTX]\d{1,2}|R\d{4}(?:-\d+(?:\.\d+)*)?)\b")
NOTE = "<!-- Written by docs/generate.py. Change docs/requirements.toml or the tests, then: make docs -->\n"


class Requirement(msgspec.Struct, forbid_unknown_fields=True):
    """What must hold, and why no test proves it, if none does."""

    text: str
    advice: str = ""  # to whom
    toolbox: bool = False
    planned: bool = False

    @property
    def excuse(self) -> str:
        if self.advice:
            return f"Advice to {self.advice}."
        if self.toolbox:
            return "Toolbox: it concerns a client only."
        return "Not built yet." if self.planned else ""


def chapters() -> dict[str, dict[str, Requirement]]:
    """Return the requirements by id, chapter by chapter."""
    text = (DOCS / "requirements.toml").read_text()
    return msgspec.toml.decode(text, type=dict[str, dict[str, Requirement]])


def proofs(tests: Path = TESTS) -> dict[str, dict[str, list[str]]]:
    """Return for each id that is named the files that name it, each with its tests.

    A file without tests proves as a whole.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for file in sorted(tests.rglob("*.*")):
        for test, text in _claims(file):
            for name in ID.findall(text):
                named = found.setdefault(name, {}).setdefault(str(file.relative_to(tests)), [])
                if test and test not in named:
                    named.append(test)
    return found


def _claims(file: Path) -> Iterator[tuple[str, str]]:
    """Find the names of tests, empty for a whole file, with the texts that may hold ids."""
    if file.suffix == ".txt":
        lines = file.read_text().splitlines()
        yield "", "\n".join(line for line in lines if line.startswith("#"))
    elif file.name.startswith("test_") or file.name == "contract.py":
        module = ast.parse(file.read_text())
        yield "", ast.get_docstring(module) or ""
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield node.name, ast.get_docstring(node) or ""


def page() -> str:
    found = proofs()
    body = "\n\n".join(
        f"## {title}\n\n"
        + "\n".join(_entry(name, row, found.get(name, {})) for name, row in rows.items())
        for title, rows in chapters().items()
    )
    return f"""{NOTE}
# Requirements and their tests

Everything that Restante must do, where that comes from, and which tests prove it; files are below
`tests`. `R1939-3.1` is the first requirement from section 3 of RFC 1939. A file without names of
tests proves as a whole. Transcripts are played on the core in memory and over real sockets.

{body}
"""


def _entry(name: str, row: Requirement, found: Mapping[str, list[str]]) -> str:
    lines = [f"- **{name}** {row.text}"]
    if row.excuse:
        lines.append(f"  - {row.excuse}")
    for file, tests in found.items():
        named = ", ".join(f"`{test}`" for test in tests)
        lines.append(f"  - `{file}`: {named}" if named else f"  - `{file}`")
    return "\n".join(lines)
