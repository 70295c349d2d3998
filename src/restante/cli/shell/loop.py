"""Line after line: what goes wrong is told, and the session goes on."""

from __future__ import annotations

import contextlib
import shutil
import warnings
from typing import TYPE_CHECKING

from restante.cli.shell import marks, messages, table
from restante.cli.shell.screen import Leave, Trouble
from restante.client.maildrop import SizeWarning
from restante.protocol.errors import LocalError
from restante.protocol.failures import Denied, RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from restante.cli.shell.desk import Desk

LOST = "The marks are lost with it: nothing was deleted."


def converse(desk: Desk, read: Callable[[], str]) -> int:
    """Obey a person until they leave, and return the exit code; `read` raises as prompts do."""
    greet(desk)
    while True:
        try:
            line = read()
        except KeyboardInterrupt:
            continue
        except EOFError:
            line = "quit"
        try:
            for part in line.splitlines():  # several where somebody pasted them
                if not attempt(desk, part):
                    break
        except Leave as leave:
            return leave.code


def play(desk: Desk, lines: Iterable[str]) -> int:
    """Obey a script, and return the exit code: 1 where a command failed."""
    well = True
    try:
        for line in lines:
            well = attempt(desk, line) and well
        marks.quit_(desk)
    except Leave as leave:
        return leave.code or int(not well)
    raise AssertionError("one can only leave")


def greet(desk: Desk) -> None:
    """Print the first line."""
    start, end = messages.banner(desk), "? for help"
    width = min(79, shutil.get_terminal_size().columns - 1)
    desk.screen.say(f"{start}  {end:>{max(0, width - len(start) - 2)}}")


def attempt(desk: Desk, line: str) -> bool:
    """Obey a line, tell what goes wrong, and return whether it went well. Raises Leave."""
    try:
        with _warned(desk):
            table.obey(desk, line)
        return True
    except BrokenPipeError:  # nobody reads what is printed, so nothing more is done
        raise
    except KeyboardInterrupt:
        _stopped(desk)
    except (Trouble, LocalError) as trouble:
        desk.screen.trouble(str(trouble))
    except Denied as denied:
        code = f" [{denied.code}]" if denied.code else ""
        desk.screen.trouble(f"  < -ERR{code} {denied.text}  (to {denied.command})")
    except RemoteError as error:
        _broken(desk, error)
    except OSError as error:
        desk.screen.trouble(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "))
    if desk.talking:  # a reply was broken off
        _cut(desk)
    return False


def _stopped(desk: Desk) -> None:
    """Go on behind Ctrl-C: the rest of a reply would come all the same, so the line is cut."""
    screen = desk.screen
    if not screen.interactive:
        raise Leave(130)
    screen.say()
    if not desk.talking:
        return
    screen.trouble("Stopped. The rest would still come, so the connection was closed.")
    _cut(desk)
    _again(desk)


def _broken(desk: Desk, error: RemoteError) -> None:
    screen = desk.screen
    if not desk.connected:
        screen.trouble(f"No connection: {error.text}")
        return
    screen.trouble(f"The connection is over: {error.text}")
    _cut(desk)
    if not screen.interactive:
        raise Leave(1)
    with contextlib.suppress(Trouble):
        if screen.ask("Connect again?", default=True):
            _again(desk)


def _cut(desk: Desk) -> None:
    if desk.marked:
        desk.screen.trouble(LOST)
    desk.hang_up()


def _again(desk: Desk) -> None:
    try:
        desk.connect()
        greet(desk)
    except KeyboardInterrupt:
        desk.screen.say()
    except RemoteError as error:
        desk.screen.trouble(f"No connection: {error.text}")


@contextlib.contextmanager
def _warned(desk: Desk) -> Iterator[None]:
    """Tell the client's warnings as lines."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SizeWarning)
        try:
            yield
        finally:
            for warning in caught:
                desk.screen.trouble(str(warning.message))
