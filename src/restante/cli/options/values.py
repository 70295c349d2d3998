"""Kinds of values: not empty, as they are if a variable of the shell is not set; and seconds."""

from __future__ import annotations

import math
from typing import Any

import click

LONGEST = 86_400  # a day


class NonEmptyText(click.ParamType[str]):
    """A text that is not blank."""

    name = "text"
    problem = "the value is empty; give one, or omit the option"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text as it was typed."""
        if not value.strip():
            self.fail(self.problem, param, ctx)
        return value


class FilePath(click.Path):
    """A path that is not empty."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; an empty one would be the working directory."""
        if value == "":
            self.fail("the path is empty; name a file or a folder", param, ctx)
        return super().convert(value, param, ctx)


class Seconds(click.ParamType[float]):
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


TEXT = NonEmptyText()
