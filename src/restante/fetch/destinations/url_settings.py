"""The settings in the URL of a destination: `?create=true&cafile=FILE`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ANY: Sequence[str] = ()  # the choices of a setting that may have any value


def parse_settings(
    query: str, known: Mapping[str, Sequence[str]], *, repeated: str = ""
) -> dict[str, list[str]]:
    """Return the values of settings by name.

    `known` has their names, and the values that each may have, or ANY. `repeated` is the one that
    may be given more than once. A "+" in a value stays one, as in ann+lists@example.com. Raises
    ValueError: the text says what to write.
    """
    settings: dict[str, list[str]] = {}
    for entry in filter(None, query.split("&")):
        name, _, value = entry.partition("=")
        if name not in known:
            raise ValueError(f"{name!r} is not a setting of this destination: {', '.join(known)}")
        if not value:
            raise ValueError(f"{name} has no value; write {name}=...")
        if known[name] and value not in known[name]:
            raise ValueError(f"{name} is {value!r}; use {' or '.join(known[name])}")
        if name in settings and name != repeated:
            raise ValueError(f"{name} is there twice; write it once")
        settings.setdefault(name, []).append(unquote(value))
    return settings
