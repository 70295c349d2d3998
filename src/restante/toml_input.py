"""TOML of people, which may have anything."""

from __future__ import annotations

import tomllib
from typing import Any


def parse_toml(text: str) -> dict[str, Any]:
    """Return TOML as tables. Raises tomllib.TOMLDecodeError, which is a ValueError.

    The library also raises errors of other types: for numbers of thousands of digits, and for
    values of thousands of levels.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise tomllib.TOMLDecodeError("a value has too many levels") from None
    except ValueError:
        raise tomllib.TOMLDecodeError("a number has too many digits") from None
