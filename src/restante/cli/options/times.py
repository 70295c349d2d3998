"""A moment in the past and a span of time on the command line."""

from __future__ import annotations

import re
import time
from typing import Any

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class Moment(click.ParamType[float]):
    """A date or time in the form of ISO 8601, or an age such as 90m, 12h or 3d.

    A time without a zone is local. The value is in seconds since 1970.
    """

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the moment. Raises click.BadParameter."""
        from datetime import datetime

        if (age := parse_duration(value)) is not None:
            return time.time() - age
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError):
            text = "is not a time; write one such as 2026-11-27, 2026-11-27T10:30 or 12h"
            self.fail(f"{value!r} {text}.", param, ctx)


class Duration(click.ParamType[float]):
    """A time span such as 90s, 5m, 12h or 30d."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the seconds."""
        seconds = parse_duration(value)
        if seconds is None:
            self.fail(
                f"{value!r} is not a time span; use for example 90s, 5m, 12h, 30d", param, ctx
            )
        return seconds


def parse_duration(text: str) -> float | None:
    """Return the seconds of a text such as "30d", None for any other text."""
    match = re.fullmatch(r"([0-9]{1,9})([smhdw])", text.strip().lower(), re.ASCII)
    return float(int(match[1]) * _UNITS[match[2]]) if match else None
