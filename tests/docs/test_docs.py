"""The documentation agrees with the code, and with itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import generate
from restante.diagnosis.explanations import EXPLANATIONS

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_what_the_code_says_now(name: str) -> None:
    """Each generated page is up to date."""
    assert (generate.REFERENCE / name).read_text() == generate.PAGES[name](), "run: make docs"


def test_exit_codes_are_explained() -> None:
    """The page of the toolbox has each exit code of a verdict."""
    codes = {row.exit for row in EXPLANATIONS.values()}
    page = (generate.REFERENCE / "toolbox.md").read_text()
    assert [code for code in sorted(codes) if f"\n| {code} | " not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_somewhere(page: Path) -> None:
    """Each link in the pages has a target."""
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target
