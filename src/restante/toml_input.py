"""TOML of people, which may have anything."""

from __future__ import annotations

import tomllib
from typing import Any


class TomlError(ValueError):
    """A text is not TOML, or has a value that is too large. `str` says what is wrong, and where."""


def parse_toml(text: str) -> dict[str, Any]:
    """Return TOML as tables. Raises TomlError.

    The library raises errors of other types for numbers of thousands of digits, and for values of
    thousands of levels.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlError(str(error)) from None
    except RecursionError:
        raise TomlError("a value has too many levels") from None
    except ValueError:
        raise TomlError("a number has too many digits") from None
