"""The loop over input lines. An error is reported, and the session continues."""

from __future__ import annotations

import contextlib
import shutil
import warnings
from typing import TYPE_CHECKING

from restante.cli.program import INTERRUPTED
from restante.cli.shell import deletions, dispatch, listing
from restante.cli.shell.screen import ExitShell, ShellError
from restante.client.messages import SizeWarning
from restante.protocol.errors import LocalError, RemoteError, ServerRefusedError
from restante.system_errors import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from restante.cli.shell.session import ShellSession

LOST = "The marks are lost, so nothing was deleted."


def run_interactive(session: ShellSession, read: Callable[[], str]) -> int:
    """Obey a person until they leave, and return the exit code; `read` raises as prompts do."""
    greet(session)
    while True:
        try:
            line = read()
        except KeyboardInterrupt:
            continue
        except EOFError:
            line = "quit"
        try:
            for part in line.splitlines():  # several lines can be pasted at once
                if not run_line(session, part):
                    break
        except ExitShell as leave:
            return leave.code


def run_script(session: ShellSession, lines: Iterable[str]) -> int:
    """Run a script, and return the exit code: 1 if a command failed."""
    well = True
    try:
        for line in lines:
            well = run_line(session, line) and well
        deletions.quit_(session)
    except ExitShell as leave:
        return leave.code or int(not well)
    raise AssertionError("quit raises ExitShell")


def greet(session: ShellSession) -> None:
    """Print the first line."""
    start, end = listing.banner(session), "? for help"
    width = min(79, shutil.get_terminal_size().columns - 1)
    session.screen.print_line(f"{start}  {end:>{max(0, width - len(start) - 2)}}")


def run_line(session: ShellSession, line: str) -> bool:
    """Carry out a line, show its errors, and return whether it succeeded. Raises ExitShell."""
    try:
        with _show_warnings(session):
            dispatch.dispatch(session, line)
        return True
    except KeyboardInterrupt:
        _handle_interrupt(session)
    except (ShellError, LocalError) as trouble:
        session.screen.show_error(str(trouble))
    except ServerRefusedError as denied:
        session.screen.show_error(f"  < {denied.reply}  (to {denied.command})")
    except RemoteError as error:
        _handle_lost_connection(session, error)
    except OSError as error:
        if error.filename is None:  # it is the output's: nothing can be shown any more
            raise
        session.screen.show_error(describe(error))
    if session.in_reply:  # a reply was broken off
        _disconnect(session)
    return False


def _handle_interrupt(session: ShellSession) -> None:
    """Go on after Ctrl-C: the rest of a reply would come all the same, so the line is cut."""
    screen = session.screen
    if not screen.interactive:
        raise ExitShell(INTERRUPTED)
    screen.print_line()
    if not session.in_reply:
        return
    screen.show_error(
        "Interrupted. The connection was closed, because the rest of the reply was still due."
    )
    _disconnect(session)
    _reconnect(session)


def _handle_lost_connection(session: ShellSession, error: RemoteError) -> None:
    screen = session.screen
    if not session.connected:
        screen.show_error(f"Cannot connect: {error.text}")
        return
    screen.show_error(f"The connection ended: {error.text}")
    _disconnect(session)
    if not screen.interactive:
        raise ExitShell(1)
    with contextlib.suppress(ShellError):
        if screen.confirm("Reconnect?", default=True):
            _reconnect(session)


def _disconnect(session: ShellSession) -> None:
    if session.marked:
        session.screen.show_error(LOST)
    session.disconnect()


def _reconnect(session: ShellSession) -> None:
    try:
        session.connect()
        greet(session)
    except KeyboardInterrupt:
        session.screen.print_line()
    except RemoteError as error:
        session.screen.show_error(f"Cannot connect: {error.text}")


@contextlib.contextmanager
def _show_warnings(session: ShellSession) -> Iterator[None]:
    """Print the client's warnings, a line each."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SizeWarning)
        try:
            yield
        finally:
            for warning in caught:
                session.screen.show_error(str(warning.message))
