"""A number of octets on the command line."""

from __future__ import annotations

import re
from typing import Any

import click

UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


class Size(click.ParamType[int]):
    """A number of octets. The suffixes k, M and G stand for powers of 1024."""

    name = "size"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return the octets."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([1-9][0-9]{0,11})([kmg]?)", str(value).lower(), re.ASCII)
        if match is None:
            text = f"{value!r} is not a size; use a number of octets, or a number with k, M or G"
            self.fail(text, param, ctx)
        return int(match[1]) * UNITS[match[2]]
