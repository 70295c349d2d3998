"""Whether a path exists, and as what, and the folders of a user's files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import restante
from restante.file_kinds import exists, is_file, is_folder, user_configuration, user_state

SOURCES = Path(restante.__file__).parent
HIDES_ERRORS = re.compile(r"\.(?:exists|is_dir|is_file)\(\)")


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("file", (True, True, False)),
        ("folder", (True, False, True)),
        ("link", (True, True, False)),
        ("missing", (False, False, False)),
        ("link-to-nothing", (False, False, False)),
        ("file/below", (False, False, False)),
        ("nul\0", (False, False, False)),
    ],
)
def test_kinds(tmp_path: Path, name: str, kinds: tuple[bool, bool, bool]) -> None:
    """Links are followed, and what is not there is of no kind."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "link-to-nothing").symlink_to("missing")
    path = tmp_path / name
    assert (exists(path), is_file(path), is_folder(path)) == kinds


@pytest.mark.parametrize("question", [exists, is_file, is_folder])
def test_error_is_raised(tmp_path: Path, question: Callable[[Path], bool]) -> None:
    """An error that leaves it unknown is raised with every Python."""
    with pytest.raises(OSError, match="File name too long"):
        question(tmp_path / ("x" * 300))


def test_no_module_hides_errors() -> None:
    """No module asks a Path, which hides errors from Python 3.14 on."""
    simulated = SOURCES / "misbehave" / "score" / "sandbox.py"  # looks into its own folder
    found = [
        file.relative_to(SOURCES)
        for file in SOURCES.rglob("*.py")
        if file != simulated and HIDES_ERRORS.search(file.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("chosen", "configuration", "state"),
    [
        ("/var/x", "/var/x", "/var/x"),
        ("rel", "/home/ann/.config", "/home/ann/.local/state"),
        ("", "/home/ann/.config", "/home/ann/.local/state"),
    ],
)
def test_folders_of_a_user(
    monkeypatch: pytest.MonkeyPatch, chosen: str, configuration: str, state: str
) -> None:
    """A folder is that of its variable only if it is the same in each working directory."""
    monkeypatch.setenv("HOME", "/home/ann")
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, chosen)
    assert user_configuration() == Path(configuration) / "restante"
    assert user_state() == Path(state) / "restante"
