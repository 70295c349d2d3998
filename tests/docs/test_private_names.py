"""Tests use public names only, so that what is private can change; ruff's SLF001 sees the rest."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent.parent
OTHERS = {"_MAXLINE"}  # poplib's bound, which has no other name
REACHING = {"setattr", "getattr", "delattr", "object"}  # `object` is mock.patch.object


def private(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last.startswith("_") and not last.startswith("__")


def reaches(tree: ast.AST) -> Iterator[str]:
    """Yield what a file imports or patches of others' private names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if private(alias.name))
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called in REACHING:
                texts = [a.value for a in node.args[:2] if isinstance(a, ast.Constant)]
                yield from (text for text in texts if isinstance(text, str) and private(text))


def test_no_private_names() -> None:
    """A dependency of a test, such as a clock or a limit, is passed in."""
    found = {file: list(reaches(ast.parse(file.read_text()))) for file in TESTS.rglob("*.py")}
    assert {file: set(names) - OTHERS for file, names in found.items() if set(names) - OTHERS} == {}


def test_what_is_found() -> None:
    """Imports and patches, but not one's own attributes or names with two underscores."""
    text = """
from a import _b, c
monkeypatch.setattr(a, "_b", c)
monkeypatch.setattr("a.b._c", d)
mock.patch.object(a, "__exit__")
setattr(a, "b", "_c")
"""
    assert list(reaches(ast.parse(text))) == ["_b", "_b", "a.b._c"]
