"""The line of a setting in a file of TOML: `tomllib` has lines for errors of the syntax alone."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLE = re.compile(r"\s*\[{1,2}([^\[\]].*?)\]{1,2}\s*(?:#.*)?")
_SETTING = re.compile(r"\s*([^\s=#\[][^=]*?)\s*=")


def find_line(text: str, *path: str) -> int | None:
    """Return the number of the line that has a setting or a table, from 1; None if it is not found.

    `path` is the names of its tables, and its own. A setting that stands in several lines, as in an
    array of tables, has the line of the table around it, and one of an inline table has its line.
    """
    lines: dict[tuple[str, ...], list[int]] = {}
    for number, found in _paths(text):
        lines.setdefault(found, []).append(number)
    for length in range(len(path), 0, -1):
        numbers = lines.get(path[:length], [])
        if len(numbers) == 1:
            return numbers[0]
    return None


def _paths(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the number of each line that begins a table or a setting, and its names."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if header := _TABLE.fullmatch(line.rstrip("\r")):
            table = _names(header[1])
            yield number, table
        elif setting := _SETTING.match(line):
            yield number, (*table, *_names(setting[1]))


def _names(key: str) -> tuple[str, ...]:
    """Return the names of a key, which may be quoted, with dots between them."""
    try:
        value: object = tomllib.loads(f"{key} = 1")
    except tomllib.TOMLDecodeError:  # a line of a text of several lines
        return ()
    names = []
    while isinstance(value, dict):
        [(name, value)] = value.items()
        names.append(name)
    return tuple(names)
