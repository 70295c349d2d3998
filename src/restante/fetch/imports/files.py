"""Finding and reading the file of a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.fetch.imports.state import ProgramState, StateFileError, read_state
from restante.input_files import open_file

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
        raise StateFileError(f"{file}: {error.strerror}") from None
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
    fitting = [file for file in files if _fits(program, file, account)]
    found = fitting if len(files) > 1 else files
    if len(found) == 1:
        return found[0]
    names = "".join(f"\n  {file}" for file in found or files)
    raise StateFileError(f"the program has several files; name one of them:{names}")


def _fits(program: Program, file: Path, account: tuple[str, str, int]) -> bool:
    """Return whether a file is of an account, by its name or by what is in it."""
    if program.file_name:
        return file.name == program.file_name(*account)
    user = account[0].casefold()
    return any(each.user.casefold() == user for each in read_file(program, file).accounts)
