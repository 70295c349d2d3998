"""A moment in the past on the command line."""

from __future__ import annotations

import re
import time
from typing import Any

import click

UNITS = {"m": 60, "h": 60 * 60, "d": 24 * 60 * 60}  # seconds

_AGE = re.compile(r"([0-9]{1,6})([mhd])")


class Moment(click.ParamType):  # type: ignore[type-arg]  # older ones of click have none
    """A date or time in the form of ISO 8601, or an age such as 90m, 12h or 3d.

    A time without a zone is local. The value is in seconds since 1970.
    """

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the moment. Raises click.BadParameter."""
        from datetime import datetime

        if isinstance(value, float):
            return value
        if age := _AGE.fullmatch(value):
            return time.time() - int(age[1]) * UNITS[age[2]]
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError):
            text = "is not a time; write one such as 2026-11-27, 2026-11-27T10:30 or 12h"
            self.fail(f"{value!r} {text}.", param, ctx)
