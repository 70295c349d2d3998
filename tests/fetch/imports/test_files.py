"""The usual files of a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.fetch.imports.files import find_file, read_file
from restante.fetch.imports.programs import PROGRAMS
from restante.fetch.imports.state import StateFileError

ANN = ("ann@example.com", "pop.example.com", 995)


def write(home: Path, name: str, octets: bytes = b"") -> Path:
    file = home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(octets)
    return file


def find(program: str, home: Path) -> Path:
    return find_file(PROGRAMS[program], {}, home, ANN)


@pytest.mark.parametrize(
    "name",
    ["pop.example.com-995-ann@example.com", "POP.example.org-110-Ann@example.com", "old-110-ann"],
)
def test_the_only_file(name: str, tmp_path: Path) -> None:
    """If there is one file, it is the file, however its user names the server."""
    file = write(tmp_path, f".getmail/oldmail-{name}")
    assert find("getmail", tmp_path) == file


def test_the_only_file_of_another_account(tmp_path: Path) -> None:
    """The state of another account is not taken by itself, even if it is the only one."""
    write(tmp_path, ".getmail/oldmail-pop.example.com-995-joann@example.com")
    with pytest.raises(StateFileError, match=r"of another account.*\n.*joann@example.com"):
        find("getmail", tmp_path)
    write(tmp_path, ".mpop_uidls/bob_at_h", b" 1 h bob\n1\n")
    with pytest.raises(StateFileError, match=r"of another account.*\n.*bob_at_h"):
        find("mpop", tmp_path)


def test_the_file_of_the_account(tmp_path: Path) -> None:
    """Of several files, the one with the account in its name, or in its lines, is taken."""
    write(tmp_path, ".getmail/oldmail-other-110-bob")
    file = write(tmp_path, ".getmail/oldmail-pop.example.com-995-ann@example.com")
    assert find("getmail", tmp_path) == file
    mail = ".thunderbird/x/Mail"
    write(tmp_path, f"{mail}/pop.example.com/popstate.dat", b"*pop.example.com bob\nk 1 1\n")
    octets = b"*pop.example.com ann@example.com\nk 1 1\n"
    file = write(tmp_path, f"{mail}/pop.example-1.com/popstate.dat", octets)
    assert find("thunderbird", tmp_path) == file


def test_no_file_is_guessed(tmp_path: Path) -> None:
    """If there is no file, or none of several is of the account, the user must name it."""
    with pytest.raises(StateFileError, match="name the FILE"):
        find("mpop", tmp_path)
    for user in "bob", "eve":
        write(tmp_path, f".mpop_uidls/{user}_at_h", f" 1 h {user}\n1\n".encode())
    with pytest.raises(StateFileError, match=r"name the right one:\n.*bob_at_h\n.*eve"):
        find("mpop", tmp_path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is missing is an error with its name."""
    with pytest.raises(StateFileError, match="ids: No such file"):
        read_file(PROGRAMS["fetchmail"], tmp_path / "ids")
