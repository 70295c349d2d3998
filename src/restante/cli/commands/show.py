"""`pop3 show`: a message, decoded; and its parts as files."""

from __future__ import annotations

import contextlib
import mmap
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from restante.cli import program
from restante.cli.errors import CommandFailed
from restante.cli.options.account import AccountCommand, account_options, parse_account
from restante.cli.options.connection import exit_for
from restante.cli.options.maildrop import open_maildrop
from restante.cli.options.size import Size
from restante.cli.options.values import FilePath
from restante.cli.output.headers_by_retr import header_of
from restante.cli.output.terminal import plain, plain_lines
from restante.mail.filename import safe_name
from restante.system_errors import explain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.client.blocking import Maildrop
    from restante.mail.fields import Octets
    from restante.mail.message import DecodedMessage
    from restante.mail.parts import Part

SMALL = 1024 * 1024  # octets of a message that are kept in memory
MAX_OCTETS = 256 * 1024 * 1024  # of a message that is fetched unasked
USAGE = 2  # exit codes
TOO_BIG = 11  # a message did not come whole
EXTENSIONS = {"text/plain": ".txt", "text/html": ".html", "message/rfc822": ".eml"}
TEXTS = re.compile(r"(text|message)/.*|application/(json|xml|.*\+json|.*\+xml)")


@click.command(cls=AccountCommand)
@click.argument("account")
@click.argument("number", type=click.IntRange(1))
@click.option(
    "--raw",
    is_flag=True,
    help="Show the message undecoded. Terminals get no control characters.",
)
@click.option("--headers", is_flag=True, help="Show only the header, complete.")
@click.option(
    "--part", type=click.IntRange(1), metavar="N", help="Show or write only part N, decoded."
)
@click.option(
    "--save",
    type=FilePath(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the message or the part to a new file in DIR.",
)
@click.option(
    "--save-all",
    type=FilePath(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write each part that is not shown as text to a new file in DIR.",
)
@click.option(
    "--output",
    type=FilePath(path_type=Path),
    metavar="FILE",
    help="Write the message or the part to the new file FILE.",
)
@click.option(
    "--max-size",
    type=Size(),
    default=MAX_OCTETS,
    metavar="SIZE",
    help="Reject a message of more octets than this.  [default: 256M]",
)
@account_options
def show(  # noqa: PLR0913  # one for each option
    account: str,
    number: int,
    *,
    raw: bool,
    headers: bool,
    part: int | None,
    save: Path | None,
    save_all: Path | None,
    output: Path | None,
    max_size: int,
    **params: Any,
) -> None:
    """Show one message, decoded. Nothing is deleted."""
    if sum(map(bool, (raw, headers, save, save_all, output))) > 1:
        raise click.UsageError(
            "--raw, --headers, --save, --save-all and --output exclude one another; use one"
        )
    if part and (raw or headers or save_all):
        raise click.UsageError("--part works alone, or with --save or --output")
    parsed = parse_account(account, params)
    parsed.options = replace(parsed.options, message_octets=None)  # --max-size is the bound
    with open_maildrop(parsed) as drop:
        drop[number]
        if headers:
            _show_header(drop, number)
            return
        with _fetch_message(drop, number, max_size) as octets:
            if raw:
                _write_raw(octets)
            elif save_all:
                _save_all(octets, number, save_all)
            elif save or output:
                _save(octets, number, part, save, output)
            else:
                _show(octets, part)
    exit_for("list-size")


def _show_header(drop: Maildrop, number: int) -> None:
    from restante.mail import charset, fields

    octets = header_of(drop, number)
    header = octets[: fields.split(octets).body]
    click.echo(plain_lines(charset.decode(header)).rstrip())


@contextlib.contextmanager
def _fetch_message(drop: Maildrop, number: int, most: int) -> Iterator[Octets]:
    """Get the whole message; a big one lies on the disk meanwhile."""
    from restante.cli.output.progress import Progress

    size, octets = drop[number].size, 0
    if size > most:
        raise _too_big(number, most)
    with tempfile.SpooledTemporaryFile(SMALL) as file, Progress("fetching") as progress:
        pieces = drop.retrieve(number, lambda octets: progress.update(octets, size))
        with contextlib.closing(pieces):
            for piece in pieces:
                octets += len(piece)
                if octets > most:
                    raise _too_big(number, most)
                _write_temporary(file, piece)
        file.seek(0)
        if octets <= SMALL:
            yield file.read()
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            yield mapped


def _write_temporary(file: IO[bytes], piece: bytes) -> None:
    """Write a part of a message. Raises OSError, with the folder that the file is in."""
    try:
        file.write(piece)
    except OSError as error:
        error.filename = error.filename or tempfile.gettempdir()
        raise


def _too_big(number: int, most: int) -> CommandFailed:
    from restante.diagnosis import wording

    limit = f"message {number} has more than {wording.octets(most)}, the limit of --max-size"
    return CommandFailed(f"pop3: {limit}; nothing was saved. Use a larger --max-size.", TOO_BIG)


def _write_raw(octets: Octets) -> None:
    from restante.cli.output.message_view import lines_in

    pieces = (octets[start : start + SMALL] for start in range(0, len(octets), SMALL))
    if sys.stdout.isatty():
        for line in lines_in(pieces):
            click.echo(plain(line))
        return
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _show(octets: Octets, number: int | None) -> None:
    from restante.cli.output import message_view
    from restante.mail import message

    decoded = message.read(octets)
    if number is not None:
        _show_part(_part(decoded, number))
        return
    for line in message_view.lines_of(decoded):
        click.echo(line)


def _show_part(part: Part) -> None:
    """Print a part: into a pipe its octets, on a terminal its text."""
    from restante.cli.output import message_view
    from restante.mail import message

    if not sys.stdout.isatty():
        _write_raw(part.content)
        return
    if not TEXTS.fullmatch(part.type):
        how = "add --save DIR or --output FILE to write it to a file"
        raise click.UsageError(f"{message_view.describe_part(part)} is binary; {how}")
    for line in message_view.text_lines(message.text_of(part)):
        click.echo(line)


def _part(message: DecodedMessage, number: int) -> Part:
    if number > len(message.parts):
        from restante.diagnosis import wording

        count = wording.quantity(len(message.parts), "part")
        raise click.UsageError(f"unknown part {number}; the message has {count}")
    return message.parts[number - 1]


def part_file_name(part: Part, number: int) -> str:
    """Return the name for the file of a part of message `number`."""
    default = f"message-{number}-part-{part.number}{EXTENSIONS.get(part.type, '')}"
    return safe_name(part.name, default)


def _save(
    octets: Octets, number: int, part: int | None, folder: Path | None, output: Path | None
) -> None:
    """Write a message, or a part of it, to a new file."""
    from restante.cli.output import files
    from restante.mail import message

    name = f"message-{number}.eml"
    if part is not None:
        chosen = _part(message.read(octets), part)
        name, octets = part_file_name(chosen, number), chosen.content
    if str(output) == "-":
        _write_raw(octets)
        return
    try:
        if output is not None:
            files.save_as(output, octets)
            written = output
        else:
            assert folder is not None
            written = files.save_in(folder, name, octets)
    except OSError as error:
        raise _save_error(output or folder, error, "nothing was saved") from None
    click.echo(f"Saved {plain(str(written))}")


def _save_all(octets: Octets, number: int, folder: Path) -> None:
    """Write each part that is not shown as text to a new file."""
    from restante.cli.output import files
    from restante.mail import message

    decoded = message.read(octets)
    parts = decoded.others(decoded.texts())
    for count, part in enumerate(parts):
        try:
            written = files.save_in(folder, part_file_name(part, number), part.content)
        except OSError as error:
            raise _save_error(folder, error, f"{count} of {len(parts)} parts were saved") from None
        click.echo(f"Saved {plain(str(written))}")
    if not parts:
        click.echo(f"Message {number} has no attachments.")


def _save_error(place: Path | None, error: OSError, result: str) -> click.ClickException:
    """Return the error, with the exit code of a usage error or of a full disk."""
    failed = click.ClickException(f"{result}: {plain(str(place))}: {explain(error)}")
    failed.exit_code = program.DISK if error.errno in program.NO_ROOM else USAGE  # type: ignore[misc]  # click has it for the class
    return failed
