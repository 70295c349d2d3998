"""A bar for work of over a second, on a terminal only."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

PATIENCE = 1.0  # seconds before a bar appears


class Progress:
    """A progress bar on standard error, removed at the end of the block."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._begun = time.monotonic()
        self._bar: ProgressBar[Any] | None = None
        self._wanted = sys.stderr.isatty()

    def update(self, done: int, total: int) -> None:
        """Show that `done` of `total` octets have come."""
        if not self._wanted or time.monotonic() - self._begun < PATIENCE:
            return
        if self._bar is None:
            self._bar = click.progressbar(length=max(total, 1), label=self._label, file=sys.stderr)
            self._bar.__enter__()
        self._bar.update(done - self._bar.pos)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
