"""`pop3 shell`, which is also what `pop3 ACCOUNT` does."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from restante.cli.errors import error_reporting
from restante.cli.options.account import AccountCommand, account_options, parse_account
from restante.cli.options.maildrop import connect_account
from restante.cli.program import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.cli.options.account import AccountArgs
    from restante.cli.shell.screen import ShellScreen
    from restante.cli.shell.session import ShellSession
    from restante.client.blocking import Maildrop


@click.command(cls=AccountCommand)
@click.argument("account")
@account_options
def shell(account: str, **params: Any) -> None:
    """Open an interactive POP3 session with help and completion.

    `pop3 ACCOUNT` opens it too. A script on standard input deletes marked messages only with the
    command "commit".
    """
    from restante.cli.shell.screen import ShellScreen
    from restante.cli.shell.session import ShellSession

    screen = ShellScreen(interactive=sys.stdin.isatty() and sys.stdout.isatty())
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # so that a script may have any octets
    session = ShellSession(_opener(parse_account(account, params), screen), screen)
    with error_reporting():
        drop = session.connect()
    try:
        sys.exit(_run_session(session, drop))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        session.disconnect()


def _run_session(session: ShellSession, drop: Maildrop) -> int:
    from restante.cli.shell import loop

    if not session.screen.interactive:
        return loop.run_script(session, sys.stdin)
    from restante.cli.shell.prompt import reader

    return loop.run_interactive(session, reader(session, drop.session.redact))


def _opener(account: AccountArgs, screen: ShellScreen) -> Callable[[], Maildrop]:
    """Return what opens the maildrop, as often as it is needed. The password is asked for once."""
    options = account.options
    if options.trace is None:
        options = replace(options, trace=screen.trace)

    return lambda: connect_account(account, options)
