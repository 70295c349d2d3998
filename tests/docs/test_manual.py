"""The man pages of docs/manual.py."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import msgspec
import pytest

import generate
import manual
from restante.cli.main import SUBCOMMANDS
from support.programs import need

SOURCE = Path(generate.__file__).parents[1] / "src"
READ_VARIABLE = re.compile(
    r"""(?:environ(?:ment)?|variables)(?:\.get|\.pop)?[(\[]"([A-Z_]+)"|\b_folder\("([A-Z_]+)\""""
    r"""|VARIABLE = "(\w+)"|"(\w+)" in os\.environ"""
)
"""The name of a variable where the code reads it."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The man pages of all commands and of the configuration, as files."""
    folder = tmp_path_factory.mktemp("man")
    for name, text in manual.pages().items():
        (folder / name).write_text(text)
    return sorted(folder.iterdir())


def test_each_command_has_a_page(pages: list[Path]) -> None:
    """There is a page for pop3, one for each command, and one for the configuration."""
    names = {"pop3.1", "restante.toml.5", *(f"pop3-{name}.1" for name in SUBCOMMANDS)}
    assert {page.name for page in pages} == names


def test_pages_have_no_mistake(pages: list[Path]) -> None:
    """mandoc has no warning about any page."""
    done = subprocess.run(
        [need("mandoc"), "-Tlint", "-Wwarning", *pages], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_page_has_settings(pages: list[Path]) -> None:
    """The page of `pop3 fetch` has each setting of its tables in the file of accounts."""
    (page,) = (page.read_text() for page in pages if page.name == "pop3-fetch.1")
    fields = [field for table in generate.FETCH_TABLES for field in msgspec.structs.fields(table)]
    assert [f.encode_name for f in fields if f"\\fB{f.encode_name}\\fR\n" not in page] == []


def test_page_has_variables(pages: list[Path]) -> None:
    """The page of `pop3` has each variable that the code reads, and those of commands their own."""
    whole, dev, explain = (
        next(page.read_text() for page in pages if page.name == f"{name}.1")
        for name in ("pop3", "pop3-dev", "pop3-explain")
    )
    source = "".join(file.read_text() for file in SOURCE.rglob("*.py"))
    read = {name for names in READ_VARIABLE.findall(source) for name in names if name}
    assert {"POP3_PASSWORD", "NO_COLOR", "XDG_STATE_HOME", "LISTEN_FDS"} <= read
    assert [name for name in sorted(read - {"_POP3_COMPLETE"}) if name not in whole] == []
    assert "POP3_DEV_PASSWORD" in dev
    assert "POP3_PASSWORD" not in dev + explain
    assert "NO_COLOR" in explain


def test_page_has_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """The date of a page is that of SOURCE_DATE_EPOCH, or today."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    title = manual.page("pop3", 1, "serve", "", []).splitlines()[1]
    assert title.split()[3] >= "2026-12-01"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert manual.page("pop3", 1, "serve", "", []).splitlines()[1].split()[3] == "1970-01-02"


def test_index_has_pages(pages: list[Path]) -> None:
    """The index of apropos finds the name and the purpose of each page."""
    done = subprocess.run([need("lexgrog"), *pages], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == len(pages)
    assert '"pop3-user - add, change, lock, list and remove accounts"' in done.stdout


def test_page_has_texts_of_help(pages: list[Path]) -> None:
    """A page shows the arguments, the text and the options of the help, of lower commands too."""
    mandoc, folder = need("mandoc"), pages[0].parent
    done = subprocess.run(
        [mandoc, "-Tascii", folder / "pop3-user.1"], capture_output=True, check=True
    )
    letters = done.stdout.decode()
    while "\b" in letters:  # bold is a letter over itself
        position = letters.index("\b")
        letters = letters[: position - 1] + letters[position + 1 :]
    assert "pop3 user add [OPTIONS] NAME\n" in letters
    assert "--password-stdin\n" in letters
    assert "Read the password from the first line of standard input." in letters
