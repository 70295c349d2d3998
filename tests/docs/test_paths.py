"""Pages name files that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
EXPLANATIONS = [*(ROOT / "docs" / "explanation").glob("*.md")]
FILES = [f"/{file.relative_to(ROOT)}" for top in ("src", "tests", "docs", "benchmarks", "contrib")
         for file in (ROOT / top).rglob("*.*")]  # fmt: skip
FOLDERS = {f"{Path(file).parent}/" for file in FILES}
NAMED = re.compile(r"`([a-z_][\w/.-]*\.(?:py|c))`")
NAMED_FOLDER = re.compile(r"`([a-z_][\w/]*/)`")


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


@pytest.mark.parametrize("page", EXPLANATIONS, ids=lambda page: str(page.name))
def test_named_folders_exist(page: Path) -> None:
    """Explanations name a folder of the code or the tests by its end, with a slash."""
    named = NAMED_FOLDER.findall(page.read_text())
    assert [n for n in named if not any(folder.endswith(f"/{n}") for folder in FOLDERS)] == []
