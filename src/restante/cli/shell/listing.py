"""ls, show, raw, save, info: they change nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from restante.cli.output.message_table import ENDLESS, message_table
from restante.cli.output.message_view import lines_in, lines_of
from restante.cli.output.terminal import plain
from restante.cli.output.wrapping import is_terminal, wrap_hanging
from restante.cli.shell.screen import ShellError
from restante.diagnosis import wording
from restante.file_kinds import is_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from restante.cli.shell.session import ShellSession

MAX_LISTED = 100  # messages that a list shows unasked, the last ones
MAX_DECODED = 32 * 1024 * 1024  # octets of a message that is decoded in memory


def banner(session: ShellSession) -> str:
    """Return the first line: the server, the security of the connection, and the messages."""
    with session.exchange() as drop:
        client = drop.session
    sizes = session.messages()
    tls = client.tls.version if client.tls else "no TLS"
    known = f"{plain(client.target.host)}  {tls} {client.mechanism}"
    return f"{known}  {wording.messages(len(sizes))} {wording.octets(sum(sizes.values()))}"


def ls(session: ShellSession, words: Sequence[str]) -> None:
    """List messages: the last hundred, all of them, or those that are named."""
    sizes = session.messages()
    everything = list(sizes)
    listed = everything[-MAX_LISTED:]
    if words:
        listed = everything if words == ["all"] else session.numbers(words)
    if not listed:
        session.screen.print_line("The mailbox is empty.")
        return
    session.fetch_headers(listed)
    sizes = {number: sizes[number] for number in listed}
    width = shutil.get_terminal_size().columns if is_terminal() else ENDLESS
    for line in message_table(sizes, session.summaries, marked=session.marked, width=width):
        session.screen.print_line(line)
    if session.lacks_top:
        session.screen.print_line("The server does not support TOP, so only sizes are shown.")
    if not words and len(everything) > MAX_LISTED:
        session.screen.print_line(
            f"{len(everything) - MAX_LISTED} earlier messages are hidden; use ls all, or ls 1-50"
        )


def show(session: ShellSession, words: Sequence[str]) -> None:
    """Show messages decoded."""
    from restante.mail import message

    for number in _require_numbers(session, words, "show N"):
        octets, missing = bytearray(), 0
        for piece in _pieces(session, number):
            start = piece[: MAX_DECODED - len(octets)]
            octets += start
            missing += len(piece) - len(start)
        for line in lines_of(message.read(bytes(octets))):
            session.screen.print_line(line)
        if missing:
            session.screen.show_error(f"{wording.octets(missing)} are not shown; use save {number}")


def raw(session: ShellSession, words: Sequence[str]) -> None:
    """Show messages as they are."""
    for number in _require_numbers(session, words, "raw N"):
        for line in lines_in(_pieces(session, number, show_progress=False)):
            session.screen.print_line(plain(line))


def _pieces(session: ShellSession, number: int, *, show_progress: bool = True) -> Iterator[bytes]:
    """Yield a message's octets, and show the progress of a long one."""
    whole, screen = session.messages().get(number, 0), session.screen
    screen.percent(None)
    with session.exchange() as drop:
        try:
            yield from drop.retrieve(
                number, lambda octets: screen.percent((octets, whole) if show_progress else None)
            )
        finally:
            screen.percent(None)


def _require_numbers(session: ShellSession, words: Sequence[str], usage: str) -> list[int]:
    if not words:
        raise ShellError(f"missing message number; use {usage}")
    return session.numbers(words)


def save(session: ShellSession, words: Sequence[str]) -> None:
    """Write a message, or a part of it, into a new file; one that is there stays as it is."""
    if not words:
        raise ShellError("missing message number; use save N [FILE], or save N.PART [FILE]")
    word, dot, part = words[0].partition(".")
    number, *others = session.numbers([word])
    if others:
        raise ShellError("save writes one message at a time; use save N [FILE]")
    session.prefetch_headers([number])
    if dot:
        _save_part(session, number, part, _file_path(words[1:]))
        return
    path = _file_path(words[1:]) or Path(f"message-{number}.eml")
    if is_folder(path):
        path /= f"message-{number}.eml"
    octets = _save_message(session, number, path)
    session.screen.print_line(
        f"saved: {session.name(number)} as {plain(str(path))}, {wording.octets(octets)}"
    )


def _file_path(words: Sequence[str]) -> Path | None:
    """Return the path that was typed, None without one. Raises ShellError: no file can have it."""
    name = " ".join(words)
    if "\0" in name:
        raise ShellError("a file name must not contain NUL")
    return Path(os.path.expanduser(name)) if name else None


def _save_message(session: ShellSession, number: int, path: Path) -> int:
    """Write a message into a new file, and return its octets. Raises OSError with the path."""
    from restante.cli.output import files

    try:
        with files.new_file(path) as file:
            return sum(file.write(piece) for piece in _pieces(session, number))
    except FileExistsError:
        raise ShellError(f"{path} already exists; choose another name") from None
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def _save_part(session: ShellSession, number: int, word: str, path: Path | None) -> None:
    """Write the octets of a part into a new file; without a path, under its own name."""
    from restante.cli.commands.show import part_file_name
    from restante.cli.output import files
    from restante.mail import message

    octets = bytearray()
    for piece in _pieces(session, number):
        octets += piece[: MAX_DECODED - len(octets)]
    parts = message.read(bytes(octets)).parts
    chosen = next((part for part in parts if str(part.number) == word), None)
    if chosen is None:
        count = wording.quantity(len(parts), "part")
        raise ShellError(f"unknown part {plain(word)}; message {number} has {count}")
    if chosen.end >= MAX_DECODED:
        raise ShellError(f"message {number} is too large to decode; use save {number}")
    if path is not None and not is_folder(path):
        files.save_as(path, chosen.content)
    else:
        path = files.save_in(path or Path(), part_file_name(chosen, number), chosen.content)
    session.screen.print_line(
        f"saved: part {word} as {plain(str(path))}, {wording.octets(chosen.size)}"
    )


def info(session: ShellSession, words: Sequence[str]) -> None:  # noqa: ARG001  # as all commands
    """Show the facts of the connection."""
    with session.exchange() as drop:
        client = drop.session
    tls = f"{client.tls.version} {client.tls.cipher}" if client.tls else "none"
    greeting = client.greeting.line if client.greeting else ""
    known = {
        "account": str(client.target),
        "TLS": tls,
        "greeting": greeting,
        "login": client.mechanism,
        "before TLS": " ".join(wording.capabilities(client.before_tls)),
        "CAPA": " ".join(wording.capabilities(client.capabilities)) or "none",
        "idle": f"{session.idle:.0f} s",
        "marked": session.names(session.marked) or "nothing",
    }
    for name, text in known.items():
        if text:
            for line in wrap_hanging(
                f"  {name:10}  ", plain(text), wrap=session.screen.interactive
            ):
                session.screen.print_line(line)
