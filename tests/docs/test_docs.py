"""The documentation agrees with the code, and with itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

import conf
import generate
from restante.conformance.suite import CHECKS
from restante.diagnosis.explanations import EXPLANATIONS
from restante.misbehave import FAULTS
from restante.server.config.loader import ConfigError, load
from restante.server.config.schema import Config

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
ANCHOR = re.compile(r"\]\((?!https?:)([^)#]*)#([^)]+)\)")
HEADING = re.compile(r"^#+ (.*)", re.MULTILINE)
TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECTIONS = {field.encode_name for field in msgspec.structs.fields(Config)}


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_what_the_code_says_now(name: str) -> None:
    """Each generated page is up to date."""
    assert (generate.REFERENCE / name).read_text() == generate.PAGES[name](), "run: make docs"


def test_exit_codes_are_explained() -> None:
    """The page of the toolbox has each exit code of a verdict."""
    codes = {row.exit for row in EXPLANATIONS.values()}
    page = (generate.REFERENCE / "toolbox.md").read_text()
    assert [code for code in sorted(codes) if f"\n| {code} | " not in page] == []


def test_counts() -> None:
    """Pages have the number of checks of `pop3 verify`, and of faults of `pop3 misbehave`."""
    text = (ROOT / "README.md").read_text()
    for count in (f"{len(CHECKS)} conformance checks", f"{len(FAULTS)} faults"):
        assert f"[{count}](" in text, "correct the number in README.md"
    page = (ROOT / "docs" / "how-to" / "verify.md").read_text()
    passed = f"{len(CHECKS) - 1} passed, 0 failed, 1 not testable"  # APOP is off
    assert passed in page, "correct the number in docs/how-to/verify.md"


def test_packages_of_ci() -> None:
    """CONTRIBUTING.md names each package of Debian that CI installs for the tests."""
    ci = _packages((ROOT / ".ci/run").read_text())
    assert len(ci) > 50
    assert ci - _packages((ROOT / "CONTRIBUTING.md").read_text()) == set()


def _packages(text: str) -> set[str]:
    commands = re.findall(r"apt-get install((?:.*\\\n)*.*)", text)
    words = " ".join(commands).replace("\\\n", " ").split()
    return {word for word in words if not word.startswith("-")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_somewhere(page: Path) -> None:
    """Each link in the pages has a target."""
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_paragraph_has_no_list(page: Path) -> None:
    """No line within a paragraph begins as one of a list, so that it would become one."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"^[A-Za-z`*].*\n(?:1[.)]|[-+*]) .*", text, re.MULTILINE) == []


def test_examples_of_modules_are_code() -> None:
    """Sphinx shows an indented example in a module's docstring as code, with its empty lines."""
    lines = ["Does this.", "", "    a()", "", "    b()", "", "Then that.", ""]
    conf.mark_examples("module", lines)
    assert lines == ["Does this.", "", "::", "", "    a()", "", "    b()", "", "Then that.", ""]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and Sphinx make them."""
    headings = [
        re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text) for text in HEADING.findall(page.read_text())
    ]
    return {re.sub(r"[^\w -]", "", text.strip().lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_an_anchor_is_a_heading(page: Path) -> None:
    """Each link to a part of a page leads to one of its headings."""
    for target, anchor in ANCHOR.findall(page.read_text()):
        assert anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"


def problems(file: Path) -> list[str]:
    """Return the mistakes in a configuration."""
    try:
        load(file, {})
    except ConfigError as error:
        return error.problems
    return []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_settings_exist(page: Path, tmp_path: Path) -> None:
    """Each setting of the server that a page shows exists."""
    file = tmp_path / "restante.toml"
    for block in TOML.findall(page.read_text()):
        if SECTIONS.isdisjoint(tomllib.loads(block)):
            continue  # the configuration of another command
        file.write_text(block)
        assert [line for line in problems(file) if ": unknown" in line] == [], block
