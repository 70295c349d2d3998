"""Finding and reading the file of a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.fetch.imports.choice import is_same_user
from restante.fetch.imports.state import ProgramState, StateFileError, read_state
from restante.input_files import open_file
from restante.system_errors import explain_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from restante.fetch.imports.programs import Program


def read_file(program: Program, file: Path) -> ProgramState:
    """Read a file of a program. Raises StateFileError."""
    try:
        with open_file(file) as octets:
            return read_state(program.parse, octets)
    except OSError as error:
        raise StateFileError(explain_path(file, error)) from None
    except StateFileError as error:
        raise StateFileError(f"{file}: {error}") from None


def find_file(
    program: Program, environment: Mapping[str, str], home: Path, account: tuple[str, str, int]
) -> Path:
    """Return the usual file of a program for an account: user, host and port.

    Raises StateFileError: there is none, or several may be meant.
    """
    files = program.find_files(environment, home)
    if not files:
        raise StateFileError("no file of this program is in its usual place; name the FILE")
    usual = program.file_name(*account) if program.file_name else ""
    matches = [file for file in files if file.name == usual]
    matches = matches or [file for file in files if _is_of_user(program, file, account[0])]
    if len(matches) == 1:
        return matches[0]
    what = "several files are of this user" if matches else "the files are of another account"
    names = "".join(f"\n  {file}" for file in matches or files)
    raise StateFileError(f"{what}; name the right one:{names}")


def _is_of_user(program: Program, file: Path, user: str) -> bool:
    """Return whether a file is of a user, by its name or by what is in it."""
    if program.file_user:
        return is_same_user(program.file_user(file.name), user)
    return any(is_same_user(account.user, user) for account in read_file(program, file).accounts)
