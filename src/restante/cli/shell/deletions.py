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


def rm(session: ShellSession, words: Sequence[str]) -> None:
    """Mark messages."""
    if not words:
        raise ShellError("missing message numbers; use rm N...")
    numbers = session.numbers(words)
    already = [number for number in numbers if number in session.marked]
    if already:
        raise ShellError(f"already marked: {session.names(already)}")
    session.fetch_headers(sorted(numbers)[:NAMED])
    with session.exchange() as drop:
        for number in sorted(numbers, reverse=True):  # some servers number the later ones anew
            drop.delete(number)
    session.screen.print_line(f"marked: {session.names(sorted(numbers))}   (undo: rset)")


def undo(session: ShellSession, words: Sequence[str]) -> None:  # noqa: ARG001  # as all commands
    """Remove all marks."""
    with session.exchange() as drop:
        drop.undelete()
    session.screen.print_line("No message is marked.")


def commit(session: ShellSession, words: Sequence[str]) -> None:  # noqa: ARG001  # as all commands
    """Remove what is marked, without asking: the command says it all."""
    if not session.marked:
        raise ShellError("no message is marked")
    code = send_quit(session, showing=False)
    if code and not session.screen.interactive:
        raise ExitShell(code)


def quit_(session: ShellSession, *, typed: bool = False) -> None:
    """Exit, after confirmation if messages are marked. Raises ExitShell, ShellError: Ctrl-C.

    `typed` means the POP3 command QUIT, which is always sent.
    """
    if session.marked:
        if not session.screen.interactive:
            raise ExitShell(_drop_marks(session))
        if not session.screen.confirm(marked_text(session)):
            _roll_back(session)
            session.screen.print_line("Nothing was deleted.")
            raise ExitShell(0)
        raise ExitShell(send_quit(session, showing=typed))
    if typed and session.connected:
        raise ExitShell(send_quit(session, showing=True))
    session.close()
    raise ExitShell(0)


def _drop_marks(session: ShellSession) -> int:
    count = len(session.marked)
    verb = "is marked but was" if count == 1 else "are marked but were"
    text = f'{wording.messages(count)} {verb} not deleted. End the script with "commit".'
    _roll_back(session)
    session.screen.show_error(text)
    return 1


def _roll_back(session: ShellSession) -> None:
    try:
        with session.exchange() as drop:
            drop.undelete()
    except RemoteError:
        session.disconnect()
    session.close()


def send_quit(session: ShellSession, *, showing: bool) -> int:
    """Send QUIT, report the state of the marked messages, and return the exit code."""
    marked, names = session.marked, {number: session.name(number) for number in session.marked}
    uids: dict[int, str | None] = {}
    try:
        with (
            session.exchange() as drop,
            session.screen.show_traffic() if showing else contextlib.nullcontext(),
        ):
            uids = {message.number: message.uid for message in drop if message.number in marked}
            drop.commit()
    except (RemoteError, KeyboardInterrupt) as error:
        session.disconnect()
        session.screen.show_error(_describe_failed_quit(error))
        if marked:
            _show_remaining(session, uids, names)
        return NOT_CONFIRMED if marked else 1
    session.disconnect()
    if marked:
        session.screen.print_line(f"{wording.messages(len(marked))} deleted.")
    return 0


def _describe_failed_quit(error: BaseException) -> str:
    if isinstance(error, ServerRefusedError):
        return f"The server replied to QUIT with {error.reply}"
    if isinstance(error, RemoteError) and error.phase != "quit":
        return f"QUIT was not sent, so nothing was deleted: {error.text}"
    if isinstance(error, RemoteError):
        return f"No reply to QUIT: {error.text}"
    return "Interrupted before the reply to QUIT."


def _show_remaining(
    session: ShellSession, uids: Mapping[int, str | None], names: Mapping[int, str]
) -> None:
    """Look, in a new session, which of the messages are still there."""
    session.screen.print_line("Checking which messages were deleted.")
    try:
        there = {message.uid for message in session.connect()}
    except RemoteError as error:
        session.screen.show_error(f"Unknown: {error.text}")
        return
    if None in there or None in uids.values():
        session.screen.show_error("Unknown, because the server does not support unique-ids.")
        return
    still = [names[number] for number, uid in uids.items() if uid in there]
    gone = [names[number] for number, uid in uids.items() if uid not in there]
    if still:
        session.screen.show_error(f"not deleted: {', '.join(still)}")
    if gone:
        session.screen.print_line(f"deleted: {', '.join(gone)}")
