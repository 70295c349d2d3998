"""The requirements, and the tests that prove each one.

The docstring of a test names the ids of the requirements that it proves. The docstring of a module
names those of all its tests, and the comments of a transcript those of the transcript.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

DOCS = Path(__file__).parent
TESTS = DOCS.parent / "tests"
ID = re.compile(
    r"(?<![\w/-])(?:rfc\d{4}-s\d+(?:\.\d+)*|session|implied|policy|known-bug)/[a-z0-9]+(?:-[a-z0-9]+)*"
)
NOTE = "<!-- Written by docs/generate.py. Change docs/requirements.toml or the tests, then: make docs -->\n"


class Requirement(msgspec.Struct, forbid_unknown_fields=True):
    """A requirement, and the reason if no test proves it."""

    text: str
    advice: str = ""  # to whom
    planned: bool = False

    @property
    def excuse(self) -> str:
        if self.advice:
            return f"Advice to {self.advice}."
        return "Not built yet." if self.planned else ""


def chapters() -> dict[str, dict[str, Requirement]]:
    """Return the requirements by id, chapter by chapter."""
    text = (DOCS / "requirements.toml").read_text()
    return msgspec.toml.decode(text, type=dict[str, dict[str, Requirement]])


def proofs(tests: Path = TESTS) -> dict[str, dict[str, list[str]]]:
    """Return the files that name each id, with their tests.

    A file without tests proves the requirement as a whole.
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
    elif file.match("test_*.py") or file.name == "contract.py":
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

This page lists every requirement of Restante, its source, and the tests that prove it. Files are below
`tests`; a file without names of tests proves the requirement as a whole. Transcripts run on the core in
memory and over real sockets.

The id of a requirement names its source: `rfc1939-s3/unknown-command` is from section 3 of RFC 1939.
`implied/` follows from the RFCs, `policy/` is a decision of Restante, `known-bug/` is a bug of another
server, and `session/` is the example session.

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
