"""Error messages and exit codes of all commands on mail."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click

from restante.cli.output.terminal import plain
from restante.cli.program import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from restante.protocol.errors import RemoteError


class CommandFailed(click.ClickException):
    """A command failed: the message and the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click has a class per code

    def show(self, file: object = None) -> None:  # noqa: ARG002  # click's own signature
        """Print the message without the prefix of click."""
        click.echo(self.message, err=True)


@contextlib.contextmanager
def error_reporting() -> Iterator[None]:
    """Turn an error of the block into a message with its explanation, and into its exit code."""
    from restante.protocol.errors import LocalError, RemoteError

    try:
        yield
    except RemoteError as error:
        raise format_error(error) from None
    except LocalError as error:
        raise CommandFailed(f"pop3: {plain(str(error))}", 2) from None
    except ValueError as error:
        raise click.UsageError(plain(str(error))) from None
    except KeyboardInterrupt:
        raise CommandFailed("Interrupted; nothing was deleted.", INTERRUPTED) from None


@contextlib.contextmanager
def file_error_reporting(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a message that names the file."""
    from restante.system_errors import explain_path

    try:
        yield
    except OSError as error:
        raise click.ClickException(explain_path(path, error)) from None


def invalid_configuration(problems: Sequence[str]) -> click.UsageError:
    """Return the error for a configuration with mistakes, which has a line for each."""
    return click.UsageError("\n  ".join(["Invalid configuration:", *problems]))


@contextlib.contextmanager
def configuration_error_reporting() -> Iterator[None]:
    """Turn the mistakes of a configuration that the block reads into one message."""
    from restante.server.config.loader import ConfigError

    try:
        yield
    except ConfigError as error:
        raise invalid_configuration(error.problems) from None


def format_error(error: RemoteError) -> CommandFailed:
    """Return the failure that reports an error of the server or of the connection."""
    from restante.cli.output.wrapping import is_terminal, wrap_hanging
    from restante.diagnosis.explanations import EXPLANATIONS

    row = EXPLANATIONS.get(error.id)
    where = f", after {error.command}" if error.command else ""
    what = plain(error.said + where)
    remedy = getattr(error, "remedy", "")
    if row is None:
        text = f"FAIL {error.id}  {what}"
        return CommandFailed(f"{text}\n  you   {plain(remedy)}" if remedy else text, 6)
    parts = {f"FAIL {row.id}  ": row.verdict, "  what  ": what}
    parts |= {"  also  ": plain("; ".join(error.others))} if error.others else {}
    parts |= {"  you   ": row.you} if row.you and not remedy else {}
    wrap = is_terminal(sys.stderr)
    lines = [line for head, text in parts.items() for line in wrap_hanging(head, text, wrap=wrap)]
    lines += [f"  you   {plain(remedy)}"] if remedy else []  # in one line, to be copied
    lines.append(f"  more  pop3 explain {row.id}")
    return CommandFailed("\n".join(lines), row.exit)
