"""A time span on the command line."""

from __future__ import annotations

import math
from typing import Any

import click


class Seconds(click.ParamType):  # type: ignore[type-arg]  # older ones of click have none
    """A number of seconds above 0, or, with `zero`, 0 too; without end there is none."""

    name = "seconds"

    def __init__(self, *, zero: bool = False) -> None:
        self._zero = zero

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number. Raises click.BadParameter: it is none, or none that can be."""
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not math.isfinite(seconds) or seconds < 0 or (seconds == 0 and not self._zero):
            least = "0 or more" if self._zero else "more than 0"
            self.fail(f"{value!r}: write seconds, {least}, such as 20", param, ctx)
        return seconds
