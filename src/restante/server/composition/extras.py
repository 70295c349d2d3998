"""Libraries that not each server requires: the extras of the package."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from restante.server.config.loader import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def importing(extra: str, setting: str) -> Iterator[None]:
    """Import modules that require an extra, because of a setting, in words.

    Raises ConfigError: a library is missing.
    """
    try:
        yield
    except ImportError as error:
        hint = f"pip install 'restante[{extra}]'"
        raise ConfigError([f"{setting} requires {error.name}; {hint}"]) from error
