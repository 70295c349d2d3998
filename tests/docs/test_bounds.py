"""The page of bounds names modules and tests that are there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/bounds.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| what |")
]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_row(row: list[str]) -> None:
    """Each bound has a module that holds it, and a test that measures it."""
    _, bound, where, tests = row
    assert bound
    for folder, cell in (("src/restante", where), ("tests", tests)):
        files = re.findall("`([^`]+)`", cell)
        assert files
        assert [file for file in files if not (ROOT / folder / file).is_file()] == []


def test_no_bound_twice() -> None:
    """Each bound has one row, so that no two can contradict each other."""
    named = Counter(row[0] for row in ROWS)
    assert [what for what, rows in named.items() if rows > 1] == []
