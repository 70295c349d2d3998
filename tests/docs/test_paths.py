"""Pages name files that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
FILES = [f"/{file.relative_to(ROOT)}" for top in ("src", "tests", "docs", "benchmarks", "contrib")
         for file in (ROOT / top).rglob("*.*")]  # fmt: skip
NAMED = re.compile(r"`([a-z_][\w/.-]*\.(?:py|c))`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_files_exist(page: Path) -> None:
    """A path may begin anywhere below the root, as `protocol/server/serve.py` does."""
    if page.name == "CHANGELOG.md":
        return  # names files of older versions
    missing = [
        name
        for name in NAMED.findall(page.read_text())
        if not any(file.endswith(f"/{name}") for file in FILES)
    ]
    assert missing == []
