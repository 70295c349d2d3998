"""The page about extensions names what there is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "extend.md").read_text()
TEXT = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)  # the examples define names of their own
FOLDERS = ("", "src/restante", "tests")
PLACED = re.compile(r"`([\w.]+)`(?:,? (?:and|or) `([\w.]+)`)? (?:is |are )?in\s+`([\w/.]+)`")
NAME = re.compile(r"`@?(_?[A-Za-z]\w*(?:\.\w+)*)(?:\(\))?`")


def find(path: str) -> Path | None:
    """Return a file or a folder that the page names, None if there is none."""
    return next((ROOT / top / path for top in FOLDERS if (ROOT / top / path).exists()), None)


def words(place: Path) -> set[str]:
    """Return all words of a file, or of the files in a folder."""
    files = [place] if place.is_file() else place.rglob("*.py")
    return {word for file in files for word in re.findall(r"\w+", file.read_text())}


def test_paths() -> None:
    """Each file or folder that the page names is there."""
    paths = set(re.findall(r"`([\w.]+/[\w/.]+)`", TEXT)) - {"tests/transcripts/NAME.txt"}
    assert len(paths) > 70
    assert sorted(path for path in paths if find(path) is None) == []


def test_names_are_where_the_page_says() -> None:
    """A name that the page places in a file or a folder is a word there."""
    placed = [(name, path) for *names, path in PLACED.findall(TEXT) for name in names if name]
    assert len(placed) > 50
    lost = [
        (name, path)
        for name, path in placed
        if (place := find(path)) is None or not words(place).issuperset(name.split("."))
    ]
    assert lost == []


def test_names() -> None:
    """Each other name is a word of the source or of the tests."""
    known = words(ROOT / "src") | words(ROOT / "tests")
    names = set(NAME.findall(TEXT)) - {"make", "docs", "tests"}
    assert len(names) > 100
    assert sorted(name for name in names if not known.issuperset(name.split("."))) == []
