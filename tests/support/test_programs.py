"""A test that needs a program asks for it first."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
FILES = sorted(TESTS.rglob("test_*.py"))


def calls_need(node: ast.AST) -> bool:
    return any(
        isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "need"
        for part in ast.walk(node)
    )


def begins_late(test: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether `need` is called after the test has begun its work, or in a thread of it."""
    steps = [step for step in test.body if not isinstance(step, ast.Expr | ast.ImportFrom)]
    work = [step for step in steps if not calls_need(step)]
    first = work[0].lineno if work else test.end_lineno or 0
    return any(calls_need(step) for step in test.body if step.lineno > first)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TESTS)))
def test_programs_are_asked_for_first(file: Path) -> None:
    """A skip in the middle would leave threads, locks and descriptors behind."""
    if file.name == "test_programs.py" and file.parent.name == "clients":
        return  # tests `need` itself
    tree = ast.parse(file.read_text())
    late = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_") and begins_late(node)
    ]
    assert late == []
