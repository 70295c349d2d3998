"""rm, undo, commit, quit: what is marked goes for good, or stays."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from restante.cli.shell.screen import ExitShell, ShellError
from restante.cli.shell.session import NAMED, marked_text
from restante.diagnosis import wording
from restante.protocol.errors import RemoteError, ServerRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from restante.cli.shell.session import ShellSession

NOT_CONFIRMED = 13  # the exit code


def rm(desk: ShellSession, words: Sequence[str]) -> None:
    """Mark messages."""
    if not words:
        raise ShellError("missing message numbers; use rm N...")
    numbers = desk.numbers(words)
    already = [number for number in numbers if number in desk.marked]
    if already:
        raise ShellError(f"already marked: {desk.names(already)}")
    desk.fetch_headers(sorted(numbers)[:NAMED])
    with desk.exchange() as drop:
        for number in numbers:
            drop.delete(number)
    desk.screen.say(f"marked: {desk.names(sorted(numbers))}   (undo: rset)")


def undo(desk: ShellSession, words: Sequence[str]) -> None:  # noqa: ARG001  # as all commands
    """Take all marks away."""
    with desk.exchange() as drop:
        drop.undelete()
    desk.screen.say("No message is marked.")


def commit(desk: ShellSession, words: Sequence[str]) -> None:  # noqa: ARG001  # as all commands
    """Remove what is marked, without asking: the command says it all."""
    if not desk.marked:
        raise ShellError("no message is marked")
    code = carry_out(desk, showing=False)
    if code and not desk.screen.interactive:
        raise ExitShell(code)


def quit_(desk: ShellSession, *, typed: bool = False) -> None:
    """Exit, after confirmation if messages are marked. Raises ExitShell, ShellError: Ctrl-C.

    `typed` means the POP3 command QUIT, which is always sent.
    """
    if desk.marked:
        if not desk.screen.interactive:
            raise ExitShell(_forgotten(desk))
        if not desk.screen.ask(marked_text(desk)):
            _roll_back(desk)
            desk.screen.say("Nothing was deleted.")
            raise ExitShell(0)
        raise ExitShell(carry_out(desk, showing=typed))
    if typed and desk.connected:
        raise ExitShell(carry_out(desk, showing=True))
    desk.close()
    raise ExitShell(0)


def _forgotten(desk: ShellSession) -> int:
    count = len(desk.marked)
    verb = "is marked but was" if count == 1 else "are marked but were"
    text = f'{wording.messages(count)} {verb} not deleted. End the script with "commit".'
    _roll_back(desk)
    desk.screen.show_error(text)
    return 1


def _roll_back(desk: ShellSession) -> None:
    try:
        with desk.exchange() as drop:
            drop.undelete()
    except RemoteError:
        desk.disconnect()
    desk.close()


def carry_out(desk: ShellSession, *, showing: bool) -> int:
    """QUIT, tell what became of the marked messages, and return the exit code."""
    marked, names = desk.marked, {number: desk.name(number) for number in desk.marked}
    uids: dict[int, str | None] = {}
    try:
        with (
            desk.exchange() as drop,
            desk.screen.showing() if showing else contextlib.nullcontext(),
        ):
            uids = {message.number: message.uid for message in drop if message.number in marked}
            drop.commit()
    except (RemoteError, KeyboardInterrupt) as error:
        desk.disconnect()
        desk.screen.show_error(_describe_failed_quit(error))
        if marked:
            _tell_rest(desk, uids, names)
        return NOT_CONFIRMED if marked else 1
    desk.disconnect()
    if marked:
        desk.screen.say(f"{wording.messages(len(marked))} deleted.")
    return 0


def _describe_failed_quit(error: BaseException) -> str:
    if isinstance(error, ServerRefusedError):
        code = f"[{error.code}] " if error.code else ""
        return f"The server replied to QUIT with -ERR {code}{error.text}"
    if isinstance(error, RemoteError):
        return f"No reply to QUIT: {error.text}"
    return "Interrupted before the reply to QUIT."


def _tell_rest(
    desk: ShellSession, uids: Mapping[int, str | None], names: Mapping[int, str]
) -> None:
    """Look, in a new session, which of the messages are still there."""
    desk.screen.say("Checking which messages were deleted.")
    try:
        there = {message.uid for message in desk.connect()}
    except RemoteError as error:
        desk.screen.show_error(f"Unknown: {error.text}")
        return
    if None in there or None in uids.values():
        desk.screen.show_error("Unknown, because the server does not support unique-ids.")
        return
    still = [names[number] for number, uid in uids.items() if uid in there]
    gone = [names[number] for number, uid in uids.items() if uid not in there]
    if still:
        desk.screen.show_error(f"not deleted: {', '.join(still)}")
    if gone:
        desk.screen.say(f"deleted: {', '.join(gone)}")
