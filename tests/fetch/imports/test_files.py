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


def test_the_only_file(tmp_path: Path) -> None:
    """If there is one file, it is the file, whatever its account is called."""
    file = write(tmp_path, ".getmail/oldmail-other-110-bob")
    assert find("getmail", tmp_path) == file


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
    with pytest.raises(StateFileError, match=r"name one of them:\n.*bob_at_h\n.*eve"):
        find("mpop", tmp_path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is missing is an error with its name."""
    with pytest.raises(StateFileError, match="ids: No such file"):
        read_file(PROGRAMS["fetchmail"], tmp_path / "ids")
