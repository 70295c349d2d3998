"""The programs whose state can be imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from restante.fetch.imports import fdm, fetchmail, getmail, mpop, thunderbird

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from restante.fetch.imports.records import Parse

FindFiles: TypeAlias = "Callable[[Mapping[str, str], Path], list[Path]]"


class Program(NamedTuple):
    """How the state of a program is found and read.

    Attributes:
        parse: yields what is in a file.
        find_files: returns the usual files, for an environment and a home folder.
        map_uid: returns a unique-id of the server as the program writes it.
        file_name: returns the file's name for a user, a host and a port, where it has these.
        file_user: returns the user in the file's name, where it has one.
    """

    parse: Parse
    find_files: FindFiles
    map_uid: Callable[[str], str] = str
    file_name: Callable[[str, str, int], str] | None = None
    file_user: Callable[[str], str] | None = None


PROGRAMS = {
    "getmail": Program(
        getmail.parse, getmail.find_files, getmail.map_uid, getmail.file_name, getmail.file_user
    ),
    "fetchmail": Program(fetchmail.parse, fetchmail.find_files, fetchmail.map_uid),
    "mpop": Program(mpop.parse, mpop.find_files),
    "fdm": Program(fdm.parse, fdm.find_files),
    "thunderbird": Program(thunderbird.parse, thunderbird.find_files),
}
