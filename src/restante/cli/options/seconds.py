"""A time span on the command line."""

from __future__ import annotations

import math
from typing import Any

import click

LONGEST = 86_400  # a day


class Seconds(click.ParamType):  # type: ignore[type-arg]  # older ones of click have none
    """A number of seconds above 0, or with `zero` from 0 on, up to a day."""

    name = "number of seconds"

    def __init__(self, *, zero: bool = False) -> None:
        self._range = click.FloatRange(0, LONGEST, min_open=not zero)
        self._range.name = self.name

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number. Raises click.BadParameter, for nan, too."""
        seconds = float(self._range.convert(value, param, ctx))
        if math.isnan(seconds):  # compares as within every range
            self.fail(f"{value!r} is not a valid {self.name}.", param, ctx)
        return seconds
