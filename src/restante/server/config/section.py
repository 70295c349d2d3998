"""The base of all tables of the configuration file."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class ConfigSection(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; the reference page is made of its docstring and fields."""
