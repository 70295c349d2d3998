"""The words one may type, and what they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.cli.output.terminal import plain
from restante.cli.output.wrapping import wrap_hanging
from restante.cli.shell import deletions, listing, raw_commands
from restante.cli.shell.screen import ShellError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from restante.cli.shell.session import ShellSession


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """A word of the shell's own."""

    action: Callable[[ShellSession, Sequence[str]], None]
    arguments: str
    help: str
    numbers: int = 0  # how many of its arguments are numbers of messages


def leave(session: ShellSession, words: Sequence[str]) -> None:  # noqa: ARG001  # as all commands
    """Leave, and ask before messages are deleted."""
    deletions.quit_(session)


def show_help(session: ShellSession, words: Sequence[str]) -> None:  # noqa: ARG001  # as all commands
    """Show the commands."""
    rows = {f"{name} {command.arguments}": command.help for name, command in COMMANDS.items()}
    widest, wrap = max(map(len, rows)), session.screen.interactive
    lines = [(f"  {usage:{widest}}  ", text) for usage, text in rows.items()]
    lines.append(("  ", " ".join(raw_commands.VERBS)))
    lines.append((f"  {'':{widest}}  ", "send the command as typed and show the reply"))
    for head, text in lines:
        for line in wrap_hanging(head, text, wrap=wrap):
            session.screen.print_line(line)


MANY = 1_000_000

COMMANDS = {
    "ls": ShellCommand(listing.ls, "[N...|all]", "list messages", MANY),
    "show": ShellCommand(listing.show, "N...", "show a message, decoded", MANY),
    "raw": ShellCommand(listing.raw, "N...", "show a message undecoded", MANY),
    "save": ShellCommand(
        listing.save, "N[.PART] [FILE]", "write a message or a part to a new file", 1
    ),
    "rm": ShellCommand(deletions.rm, "N...", "mark messages for deletion, e.g. 1 3-5", MANY),
    "undo": ShellCommand(deletions.undo, "", "remove all marks, like rset"),
    "commit": ShellCommand(deletions.commit, "", "delete the marked messages now"),
    "info": ShellCommand(listing.info, "", "show details of the server and the connection"),
    "help": ShellCommand(show_help, "", "show this help, like ?"),
    "quit": ShellCommand(leave, "", "exit; asks before messages are deleted"),
}
OTHER_NAMES = {"?": "help", "exit": "quit"}
NUMBERED = {"RETR": 1, "TOP": 1, "DELE": 1, "LIST": 1, "UIDL": 1}
"""Commands of POP3 whose first argument is the number of a message."""


def dispatch(session: ShellSession, line: str) -> None:
    """Carry out one line. Raises ShellError, ExitShell, and what the client raises."""
    line = line.encode(errors="replace").decode().strip()
    word, *arguments = line.split() or ["#"]
    if word.startswith("#"):
        return
    name = OTHER_NAMES.get(word.lower(), word.lower())
    if name in COMMANDS and word != "QUIT":
        COMMANDS[name].action(session, arguments)
    elif raw_commands.is_typed(word):
        raw_commands.send_raw_command(session, line)
    else:
        raise ShellError(f'Unknown command "{plain(word)}". Type ? for help.')
