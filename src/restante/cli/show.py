"""`pop3 show`: a message, decoded."""

from __future__ import annotations

import os
import sys
import tempfile
from email import message_from_binary_file, policy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restante.cli.account import account_options, read
from restante.cli.opened import opened
from restante.cli.plain import plain, plain_lines

if TYPE_CHECKING:
    from email.message import EmailMessage, MIMEPart

    from restante.client.blocking import Maildrop, Message

SMALL = 1024 * 1024  # octets of a message that are kept in memory
SHOWN = ("from", "to", "cc", "date", "subject")


@click.command()
@click.argument("account")
@click.argument("number", type=click.IntRange(1))
@click.option("--raw", is_flag=True, help="The octets as they are; in a terminal made harmless.")
@click.option("--headers", is_flag=True, help="The whole header only.")
@click.option("--part", type=click.IntRange(1), metavar="N", help="Only part N, decoded.")
@click.option(
    "--save",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the message, or the part, into DIR; nothing half written stays there.",
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
    **given: Any,
) -> None:
    """Show message NUMBER. Nothing is deleted."""
    with opened(read(account, given)) as drop:
        message = drop[number]
        if headers:
            click.echo(plain_lines(message.top().decode(errors="replace")).rstrip())
            return
        with tempfile.SpooledTemporaryFile(SMALL) as file:
            _fetch(drop, message, file)
            if save is not None:
                _save(file, message, part, save)
            elif raw:
                _write_raw(file)
            else:
                _show(file, part)


def _fetch(drop: Maildrop, message: Message, file: Any) -> None:
    """Get the whole message into a file."""
    from restante.cli.progress import Progress

    with Progress("fetching") as progress:
        for piece in drop.retrieve(
            message.number, lambda octets: progress.update(octets, message.size)
        ):
            file.write(piece)
    file.seek(0)


def _write_raw(file: Any) -> None:
    if sys.stdout.isatty():
        for line in file:
            click.echo(plain(line.decode(errors="replace").rstrip("\r\n")))
        return
    while piece := file.read(SMALL):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _show(file: Any, number: int | None) -> None:
    message = message_from_binary_file(file, policy=policy.default)
    parts = [part for part in message.walk() if not part.is_multipart()]
    if number is not None:
        content = _content(_part(parts, number))
        if isinstance(content, bytes) and not sys.stdout.isatty():
            sys.stdout.buffer.write(content)
            return
        click.echo(_readable(content))
        return
    for field in SHOWN:
        for value in message.get_all(field, []):
            click.echo(f"{field.capitalize() + ':':<9}{plain(' '.join(str(value).split()))}")
    click.echo()
    body = message.get_body(("plain", "html"))
    if body is not None:
        click.echo(_readable(_content(body)).rstrip())
    for place, part in enumerate(parts, 1):
        if part is not body:
            click.echo(f"[{_described(place, part)}]")


def _described(place: int, part: EmailMessage) -> str:
    name = plain(part.get_filename() or "without a name")
    return f"part {place}: {plain(part.get_content_type())}, {name}; --part {place} shows it"


def _part(parts: list[EmailMessage], number: int) -> EmailMessage:
    if number > len(parts):
        raise click.UsageError(f"the message has {len(parts)} parts, and no part {number}")
    return parts[number - 1]


def _content(part: MIMEPart) -> str | bytes:
    """Return a part decoded: text where it is text."""
    if part.get_content_maintype() == "text":
        try:
            return str(part.get_content())
        except (LookupError, ValueError, KeyError):  # a charset that nobody knows
            payload = part.get_payload(decode=True)
            return payload.decode("latin-1") if isinstance(payload, bytes) else ""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else str(part)


def _readable(content: str | bytes) -> str:
    text = content if isinstance(content, str) else content.decode(errors="replace")
    return plain_lines(text)


def _save(file: Any, message: Message, number: int | None, folder: Path) -> None:
    """Write a message, or a part of it, under a name of its own: whole, or not at all."""
    name, octets = f"message-{message.number}.eml", None
    if number is not None:
        parsed = message_from_binary_file(file, policy=policy.default)
        part = _part([p for p in parsed.walk() if not p.is_multipart()], number)
        content = _content(part)
        octets = content.encode() if isinstance(content, str) else content
        name = safe_name(part.get_filename() or f"message-{message.number}-part-{number}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = _write_whole(folder, name, octets if octets is not None else file)
    except OSError as error:
        raise click.ClickException(f"{folder}: {error.strerror}; nothing was saved") from None
    click.echo(f"Saved {plain(str(written))}")


def safe_name(name: str) -> str:
    """Return a file's name from a message that leads nowhere else and hides nothing."""
    base = plain(name.replace("\\", "/").rpartition("/")[2]).lstrip(".")
    return "".join(c for c in base if c not in '\\/:*?"<>|')[:120] or "attachment"


def _write_whole(folder: Path, name: str, source: Any) -> Path:
    """Write beside the name, and give it the name once all is there; an old file stays."""
    handle, temporary = tempfile.mkstemp(prefix=".restante-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as out:
            if isinstance(source, bytes):
                out.write(source)
            else:
                while piece := source.read(SMALL):
                    out.write(piece)
        return _named(Path(temporary), folder, name)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _named(temporary: Path, folder: Path, name: str) -> Path:
    stem, dot, suffix = name.rpartition(".")
    for count in range(1, 1000):
        tried = (
            name
            if count == 1
            else f"{stem or name} ({count}){dot if stem else ''}{suffix if stem else ''}"
        )
        try:
            os.link(temporary, folder / tried)
        except FileExistsError:
            continue
        return folder / tried
    raise FileExistsError(0, f"too many files named {name}")
