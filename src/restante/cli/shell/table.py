"""The words one may type, and what they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.cli.plain import plain
from restante.cli.shell import marks, messages, typed
from restante.cli.shell.screen import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from restante.cli.shell.desk import Desk


@dataclass(frozen=True, slots=True)
class Command:
    """A word of the shell's own."""

    action: Callable[[Desk, Sequence[str]], None]
    arguments: str
    help: str
    numbers: int = 0  # how many of its arguments are numbers of messages


def leave(desk: Desk, words: Sequence[str]) -> None:  # noqa: ARG001  # as all commands
    """Leave, and ask first where messages are marked."""
    marks.quit_(desk)


def tell_help(desk: Desk, words: Sequence[str]) -> None:  # noqa: ARG001  # as all commands
    """Say what one may type."""
    for name, command in COMMANDS.items():
        desk.screen.say(f"  {f'{name} {command.arguments}':16}  {command.help}")
    desk.screen.say(f"  {' '.join(typed.VERBS)}")
    desk.screen.say(f"  {'':16}  are sent as typed, and their replies shown")


MANY = 1_000_000

COMMANDS = {
    "ls": Command(messages.ls, "[N...|all]", "list messages", MANY),
    "show": Command(messages.show, "N...", "show a message, decoded", MANY),
    "raw": Command(messages.raw, "N...", "show a message as it is", MANY),
    "save": Command(messages.save, "N[.PART] [FILE]", "write a message or part into a new file", 1),
    "rm": Command(marks.rm, "N...", "mark messages, such as 1 3-5, to be deleted", MANY),
    "undo": Command(marks.undo, "", "take all marks away; so does rset"),
    "commit": Command(marks.commit, "", "delete what is marked, now"),
    "info": Command(messages.info, "", "what is known of the server and the connection"),
    "help": Command(tell_help, "", "this; so does ?"),
    "quit": Command(leave, "", "leave; asks before anything is deleted"),
}
OTHER_NAMES = {"?": "help", "exit": "quit"}
NUMBERED = {"RETR": 1, "TOP": 1, "DELE": 1, "LIST": 1, "UIDL": 1}
"""The article's commands whose first argument is the number of a message."""


def obey(desk: Desk, line: str) -> None:
    """Carry out one line. Raises Trouble, Leave, and what the client raises."""
    line = line.encode(errors="replace").decode().strip()
    word, *arguments = line.split() or ["#"]
    if word.startswith("#"):
        return
    name = OTHER_NAMES.get(word.lower(), word.lower())
    if name in COMMANDS and word != "QUIT":
        COMMANDS[name].action(desk, arguments)
    elif typed.is_typed(word):
        typed.by_hand(desk, line)
    else:
        raise Trouble(f'"{plain(word)}" is no command: ? tells what is one')
