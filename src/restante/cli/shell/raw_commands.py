"""Commands of POP3 itself, sent as they were typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.cli.output.message_view import lines_in
from restante.cli.shell import deletions
from restante.cli.shell.screen import ShellError
from restante.protocol.client.raw_command import MESSAGE_NUMBER, is_multi_line

if TYPE_CHECKING:
    from restante.cli.shell.session import ShellSession
    from restante.protocol.client.replies import Status

VERBS = (
    "STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "RSET", "NOOP", "QUIT", "CAPA", "LANG",
)  # fmt: skip
"""The commands that make sense once one is logged in."""

OTHERS = ("USER", "PASS", "APOP", "AUTH", "STLS", "UTF8")


def is_typed(word: str) -> bool:
    """Return whether a line that begins so is meant for the server."""
    known = word.upper() in VERBS or word.upper() in OTHERS
    return known or (word.isascii() and word.isalnum() and word.isupper())


def send_raw_command(session: ShellSession, line: str) -> None:
    """Send a line, and show it and its reply as they are. Raises ShellError: it was refused."""
    words = line.split()
    verb = words[0].upper()
    if verb == "QUIT":  # with any arguments: a server may accept it, and delete
        deletions.quit_(session, typed=True)
    if verb == "DELE" and len(words) == 2 and MESSAGE_NUMBER.fullmatch(words[1]):
        session.prefetch_headers([int(words[1])])  # the question at the end names the subject
    status = _exchange(session, line)
    if not status.ok:
        raise ShellError("")


def _exchange(session: ShellSession, line: str) -> Status:
    ended: list[Status] = []
    with session.exchange() as drop, session.screen.show_traffic():
        for text in lines_in(drop.raw_command(line, ended)):
            session.screen.show_line("<", text)
        if ended[0].ok and is_multi_line(line):
            session.screen.show_line("<", ".")
    return ended[0]
