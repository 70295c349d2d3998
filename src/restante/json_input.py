"""JSON of other programs, which may send anything."""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T")


def read_json(octets: bytes, kind: type[T]) -> T:
    """Return JSON as a value of a type. Raises ValueError.

    The library also raises errors of other types: for octets that are not UTF-8, and for JSON of
    thousands of levels, even in a part that the type does not have.
    """
    try:
        return msgspec.json.decode(octets, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
