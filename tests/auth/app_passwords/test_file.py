"""The file of app passwords."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from restante.auth.app_passwords import file as app_passwords
from restante.auth.app_passwords.file import AppPassword, AppPasswordFile, create, label_problem
from restante.auth.interfaces import UnavailableError
from restante.protocol.secret import Secret

DIGEST = "0" * 64


class Opened:
    """A file of app passwords, and what is said about it."""

    def __init__(self, path: Path, *lines: str) -> None:
        self.path = path
        path.write_text("".join(f"{line}\n" for line in lines))
        self.warnings: list[str] = []
        self.alarms: list[str] = []
        self.file = AppPasswordFile(path, self.warnings.append, self.alarms.append)

    def find(self, password: str) -> AppPassword | None:
        return self.file.find(Secret(password.encode()))


def test_password_is_found(tmp_path: Path) -> None:
    """An app password is found with or without dashes and capitals, and not in the file."""
    made, shown = create("ann@example.com", "phone", 1_800_000_000)
    opened = Opened(tmp_path / "file", app_passwords.HEADER, str(made))
    forms = [shown, shown.replace("-", ""), shown.replace("-", " "), shown.upper()]
    assert [opened.find(form) for form in forms] == [made] * 4
    assert len(shown) == 29
    assert opened.warnings == []
    assert opened.find(shown[:-1]) is opened.find("a" * 24) is None
    assert shown.replace("-", "") not in opened.path.read_text()
    assert (made.created_at, opened.file.has(made.key)) == ("2027-01-15T08:00:00Z", True)


def test_passwords_differ() -> None:
    """Each app password is another one."""
    assert len({create("ann", "phone", 0)[1] for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "line",
    [
        "ann",
        f"ann:phone:x:{DIGEST}:more",
        f"../ann:phone:x:{DIGEST}",
        f"ann::x:{DIGEST}",
        f"ann: phone:x:{DIGEST}",
        f"ann:phone:x:{DIGEST[1:]}",
        f"ann:phone:x:{DIGEST[1:]}G",
    ],
)
def test_invalid_line(tmp_path: Path, line: str) -> None:
    """An invalid line is reported, without its digest, and the others stay usable."""
    made, shown = create("ann", "phone", 0)
    opened = Opened(tmp_path / "file", line, str(made))
    assert opened.find(shown) == made
    (problem,) = opened.warnings
    assert problem.startswith(f"{opened.path}:1: this app password cannot log in: ")
    assert DIGEST[1:] not in problem


@pytest.mark.parametrize("label", ["", " ", "a:b", "a\nb", "x" * 65, " a"])
def test_invalid_label(label: str) -> None:
    """A label is short, printable and without a colon."""
    assert label_problem(label)
    assert label_problem("Ann's phone, 2nd") is None


def test_revoked(tmp_path: Path) -> None:
    """An app password is invalid as soon as its line is removed, also if it was the only one."""
    made, shown = create("ann", "phone", 0)
    opened = Opened(tmp_path / "file", str(made))
    assert opened.find(shown)
    opened.path.write_text(f"{app_passwords.HEADER}\n")
    assert opened.find(shown) is None
    assert not opened.file.has(made.key)
    assert opened.alarms == []


@pytest.mark.parametrize("trouble", ["empty", "missing", "folder", "pipe"])
def test_file_that_cannot_be_used(tmp_path: Path, trouble: str) -> None:
    """A file that goes wrong is one alarm, and says nothing about a password until it is back."""
    made, shown = create("ann", "phone", 0)
    opened = Opened(tmp_path / "file", str(made))
    assert opened.find(shown)
    opened.path.unlink()
    match trouble:
        case "empty":
            opened.path.touch()
        case "folder":
            opened.path.mkdir()
        case "pipe":
            os.mkfifo(opened.path)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            opened.find(shown)
    assert opened.find("another password") is None  # it has not the form of an app password
    assert len(opened.alarms) == 1
    (tmp_path / "new").write_text(f"{made}\n")
    if trouble == "folder":
        opened.path.rmdir()
    (tmp_path / "new").rename(opened.path)
    assert opened.find(shown) == made
