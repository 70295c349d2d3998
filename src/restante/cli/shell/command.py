"""`pop3 shell`, which is also what `pop3 ACCOUNT` does."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from restante.cli.account import account_options, read
from restante.cli.trouble import INTERRUPTED, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.cli.account import Account
    from restante.cli.shell.desk import Desk
    from restante.cli.shell.screen import Screen
    from restante.client.blocking import Maildrop


@click.command()
@click.argument("account")
@account_options
def shell(account: str, **given: Any) -> None:
    """Talk to a server by hand: the article's commands, friendlier ones, and TLS below.

    `pop3 ACCOUNT` does the same. A script can be piped in: it deletes only where it says commit.
    """
    from restante.cli.shell.desk import Desk
    from restante.cli.shell.screen import Screen, harmless_streams

    screen = Screen(interactive=sys.stdin.isatty() and sys.stdout.isatty())
    harmless_streams()
    desk = Desk(_opener(read(account, given), screen), screen)
    with told():
        drop = desk.connect()
    try:
        sys.exit(_session(desk, drop))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        desk.hang_up()


def _session(desk: Desk, drop: Maildrop) -> int:
    from restante.cli.shell import loop

    if not desk.screen.interactive:
        return loop.play(desk, sys.stdin)
    from restante.cli.shell.prompt import reader

    return loop.converse(desk, reader(desk, drop.session.peer.redacted))


def _opener(account: Account, screen: Screen) -> Callable[[], Maildrop]:
    """Return what opens the maildrop, as often as it is needed. The password is asked for once."""
    from restante.client import blocking

    options = account.options
    if options.trace is None:
        options = replace(options, trace=screen.trace)
    return lambda: blocking.connect(account.located(), account.password(), options)
