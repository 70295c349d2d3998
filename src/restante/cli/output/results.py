"""Results of work that goes on if they cannot be printed, as with a full disk of cron's log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Results:
    """A block that prints lines. It raises the first error of the output at its end."""

    def __init__(self) -> None:
        self._error: OSError | None = None

    def echo(self, line: str, *, err: bool = False) -> None:
        """Print a line, on standard error with `err`."""
        try:
            click.echo(line, err=err)
        except OSError as error:
            self._error = self._error or error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is None and self._error is not None:
            raise self._error
