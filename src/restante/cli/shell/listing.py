"""ls, show, raw, save, info: they change nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from restante.cli.output.columns import table
from restante.cli.output.terminal import plain
from restante.cli.output.wrapping import wrap_hanging
from restante.cli.shell.letter import lines_in, lines_of
from restante.cli.shell.screen import ShellError
from restante.diagnosis import wording

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from restante.cli.shell.session import ShellSession

MOST = 100  # messages that a list shows unasked, the last ones
MOST_SHOWN = 32 * 1024 * 1024  # octets of a message that is decoded in memory


def banner(desk: ShellSession) -> str:
    """Return the first line: where one is, how safe that is, and what is there."""
    with desk.exchange() as drop:
        session = drop.session
    sizes = desk.messages()
    tls = session.tls.version if session.tls else "no TLS"
    known = f"{plain(session.target.host)}  {tls} {session.mechanism}"
    return f"{known}  {wording.messages(len(sizes))} {wording.octets(sum(sizes.values()))}"


def ls(desk: ShellSession, words: Sequence[str]) -> None:
    """List messages: the last hundred, all of them, or those that are named."""
    sizes = desk.messages()
    everything = list(sizes)
    shown = everything[-MOST:]
    if words:
        shown = everything if words == ["all"] else desk.numbers(words)
    if not shown:
        desk.screen.say("The mailbox is empty.")
        return
    desk.fetch_headers(shown)
    sizes = {number: sizes[number] for number in shown}
    width = shutil.get_terminal_size().columns
    for line in table(sizes, desk.heads, marked=desk.marked, width=width):
        desk.screen.say(line)
    if desk.lacks_top:
        desk.screen.say("The server does not support TOP, so only sizes are shown.")
    if not words and len(everything) > MOST:
        desk.screen.say(
            f"{len(everything) - MOST} earlier messages are hidden; use ls all, or ls 1-50"
        )


def show(desk: ShellSession, words: Sequence[str]) -> None:
    """Show messages decoded."""
    for number in _some(desk, words, "show N"):
        octets, missing = bytearray(), 0
        for piece in _pieces(desk, number):
            kept = piece[: MOST_SHOWN - len(octets)]
            octets += kept
            missing += len(piece) - len(kept)
        for line in lines_of(bytes(octets)):
            desk.screen.say(line)
        if missing:
            desk.screen.show_error(f"{wording.octets(missing)} are not shown; use save {number}")


def raw(desk: ShellSession, words: Sequence[str]) -> None:
    """Show messages as they are."""
    for number in _some(desk, words, "raw N"):
        for line in lines_in(_pieces(desk, number, told=False)):
            desk.screen.say(plain(line))


def _pieces(desk: ShellSession, number: int, *, told: bool = True) -> Iterator[bytes]:
    """Yield a message's octets, and tell how many of a long one have come."""
    whole, screen = desk.messages().get(number, 0), desk.screen
    screen.percent(None)
    with desk.exchange() as drop:
        try:
            yield from drop.retrieve(
                number, lambda octets: screen.percent((octets, whole) if told else None)
            )
        finally:
            screen.percent(None)


def _some(desk: ShellSession, words: Sequence[str], usage: str) -> list[int]:
    if not words:
        raise ShellError(f"missing message number; use {usage}")
    return desk.numbers(words)


def save(desk: ShellSession, words: Sequence[str]) -> None:
    """Write a message, or a part of it, into a new file; one that is there stays as it is."""
    if not words:
        raise ShellError("missing message number; use save N [FILE], or save N.PART [FILE]")
    word, dot, part = words[0].partition(".")
    number, *others = desk.numbers([word])
    if others:
        raise ShellError("save writes one message at a time; use save N [FILE]")
    desk.prefetch_headers([number])
    if dot:
        _save_part(desk, number, part, " ".join(words[1:]))
        return
    name = os.path.expanduser(" ".join(words[1:])) or f"message-{number}.eml"
    if os.path.isdir(name):
        name = os.path.join(name, f"message-{number}.eml")
    try:
        file = open(name, "xb")  # noqa: SIM115  # it is closed below, or taken away
    except FileExistsError:
        raise ShellError(f"{name} already exists") from None
    try:
        with file:
            octets = sum(file.write(piece) for piece in _pieces(desk, number))
    except BaseException:
        os.unlink(name)  # what came of it is not the message
        raise
    desk.screen.say(f"saved: {desk.name(number)} as {plain(name)}, {wording.octets(octets)}")


def _save_part(desk: ShellSession, number: int, word: str, name: str) -> None:
    """Write the octets of a part into a new file."""
    from restante.cli.commands.show import part_file_name
    from restante.cli.output import files
    from restante.mail import message

    octets = bytearray()
    for piece in _pieces(desk, number):
        octets += piece[: MOST_SHOWN - len(octets)]
    parts = message.read(bytes(octets)).parts
    chosen = next((part for part in parts if str(part.number) == word), None)
    if chosen is None:
        count = wording.quantity(len(parts), "part")
        raise ShellError(f"unknown part {plain(word)}; message {number} has {count}")
    if chosen.end >= MOST_SHOWN:
        raise ShellError(f"message {number} is too large to decode; use save {number}")
    path = Path(name).expanduser()
    if name and not path.is_dir():
        files.save_as(path, chosen.content)
    else:
        path = files.save_in(path, part_file_name(chosen, number), chosen.content)
    desk.screen.say(f"saved: part {word} as {plain(str(path))}, {wording.octets(chosen.size)}")


def info(desk: ShellSession, words: Sequence[str]) -> None:  # noqa: ARG001  # as all commands
    """Tell what is known of the connection."""
    with desk.exchange() as drop:
        session = drop.session
    tls = f"{session.tls.version} {session.tls.cipher}" if session.tls else "none"
    greeting = session.greeting.line if session.greeting else ""
    known = {
        "account": str(session.target),
        "TLS": tls,
        "greeting": greeting,
        "login": session.mechanism,
        "before TLS": _format_capabilities(session.before_tls),
        "CAPA": _format_capabilities(session.capabilities) or "none",
        "idle": f"{desk.idle:.0f} s",
        "marked": desk.names(desk.marked) or "nothing",
    }
    for name, text in known.items():
        if text:
            for line in wrap_hanging(f"  {name:10}  ", plain(text), wrap=desk.screen.interactive):
                desk.screen.say(line)


def _format_capabilities(capabilities: dict[str, str] | None) -> str:
    pairs = (capabilities or {}).items()
    return " ".join(f"{tag}({argument})" if argument else tag for tag, argument in pairs)
