"""The output of the shell, and its questions."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from restante.cli.output.terminal import plain
from restante.cli.output.wrapping import may_use_colours, wrap_hanging

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDEST = 24  # columns of what `percent` says
LONG = 1_000_000  # octets that take a while
COLOURS = {">": "cyan", "+OK": "green", "-ERR": "red"}


class ShellError(Exception):
    """A line failed, and the text has the reason; "" if it was reported already."""


class ExitShell(Exception):  # noqa: N818  # it is how the session ends
    """The shell is over."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class ShellScreen:
    """A terminal, or the end of a pipe: then nothing is asked and nothing coloured.

    Lines of the server go through `plain`, here or where a line is made of them.
    """

    def __init__(self, *, interactive: bool) -> None:
        self.interactive = interactive
        self._coloured = interactive and may_use_colours()
        self._showing = False
        self._percent = 0

    def print_line(self, text: str = "", colour: str | None = None) -> None:
        """Print a line, which must contain no control characters."""
        click.echo(click.style(text, fg=colour) if colour and self._coloured else text)

    def show_error(self, text: str) -> None:
        """Show an error: on standard output in a terminal, else on standard error."""
        head = " " * (len(text) - len(text.lstrip()))
        for line in wrap_hanging(head, plain(text.lstrip()), wrap=self.interactive) if text else ():
            styled = click.style(line, fg="red") if self._coloured else line
            click.echo(styled, err=not self.interactive)

    def trace(self, direction: str, text: str) -> None:
        """Print the wire traffic in verbose mode. The client redacts secrets."""
        if self._showing and not text.startswith("("):
            self.show_line(direction, text)

    def show_line(self, direction: str, text: str) -> None:
        """Print a line as it is on the wire."""
        word = direction if direction == ">" else text.partition(" ")[0]
        self.print_line(f"  {direction} {plain(text)}", COLOURS.get(word))

    def percent(self, done: tuple[int, int] | None) -> None:
        """Show in one place how much of something long is done; None removes that."""
        if done is None:
            if self._percent:
                click.echo(f"\r{'':{WIDEST}}\r", nl=False)
            self._percent = 0
            return
        part, whole = done
        percent = 100 * part // max(whole, 1)
        if self.interactive and whole >= LONG and percent > self._percent:
            self._percent = percent
            click.echo(f"\r  {min(percent, 100)} %   Ctrl-C stops", nl=False)

    @contextlib.contextmanager
    def show_traffic(self) -> Iterator[None]:
        """Show commands and replies while the block runs."""
        self._showing = True
        try:
            yield
        finally:
            self._showing = False

    def confirm(self, question: str, *, default: bool = False) -> bool:
        """Return whether the user agrees; the end of input is a no. Raises ShellError: Ctrl-C."""
        try:
            answer = input(f"{plain(question)} {'[Y/n]' if default else '[y/N]'} ")
        except EOFError:
            self.print_line()
            return False
        except KeyboardInterrupt:
            self.print_line()
            raise ShellError("") from None
        answer = answer.strip().lower()
        return answer in ("y", "yes") if answer else default
