"""A bar for work of over a second, on a terminal only."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import click

from restante.cli.output.wrapping import may_use_escapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click._termui_impl import ProgressBar

PATIENCE = 1.0  # seconds before a bar appears
CLEAR_LINE, SHOW_CURSOR = "\r\033[K", "\033[?25h"
LONGEST_NAME = 40  # characters in the label of a bar, which must not need a second line


class Progress:
    """A progress bar on standard error, removed at the end of the block."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._begun = time.monotonic()
        self._bar: ProgressBar[Any] | None = None
        self._wanted = sys.stderr.isatty() and may_use_escapes()

    def update(self, done: int, total: int, label: str | None = None) -> None:
        """Show that `done` of `total` octets have come. The total and the label may change."""
        if not self._wanted or time.monotonic() - self._begun < PATIENCE:
            return
        if self._bar is None:
            self._bar = click.progressbar(length=max(total, 1), label=self._label, file=sys.stderr)
            self._bar.__enter__()  # its end would leave it on the terminal
        self._bar.length = max(total, 1)
        self._bar.label = self._label if label is None else label
        self._bar.update(done - self._bar.pos)

    def clear(self) -> None:
        """Remove the bar from the terminal, so that a line can be printed; it comes back."""
        if self._bar is not None:
            click.echo(CLEAR_LINE, nl=False, err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            click.echo(CLEAR_LINE + SHOW_CURSOR, nl=False, err=True)
            self._bar = None


class SharedProgress:
    """One bar for works at once, each with a name. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._octets: dict[str, tuple[int, int]] = {}  # that have come, and in all
        self._running: list[str] = []
        self._progress = Progress("")

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Return what shows how much of a work is done, in octets, while the block lasts."""

        def update(done: int, total: int) -> None:
            with self._lock:
                self._octets[name] = done, total
                come, octets = map(sum, zip(*self._octets.values(), strict=True))
                self._progress.update(come, octets, self._label())

        with self._lock:
            if not self._running:
                self._progress = Progress("")
            self._running.append(name)
        try:
            yield update
        finally:
            with self._lock:
                self._running.remove(name)
                if not self._running:
                    self._octets.clear()
                    self._progress.__exit__()

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Remove the bar while the block prints lines."""
        with self._lock:
            self._progress.clear()
            yield

    def _label(self) -> str:
        if len(self._running) > 1:
            return f"{len(self._running)} accounts"
        [name] = self._running
        return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
