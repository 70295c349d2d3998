"""A hint for a name that is not known: the names that are spelled nearly so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def suggest_names(unknown: str, known: Iterable[str], otherwise: str, most: int = 3) -> str:
    """Return the end of an error for an unknown name: near spellings, or what helps without any."""
    import difflib  # few names are unknown

    near = difflib.get_close_matches(unknown, list(known), most)
    return f"did you mean {' or '.join(near)}?" if near else otherwise
