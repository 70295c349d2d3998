"""`pop3 top` and `pop3 raw`: commands of POP3, one at a time."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from restante.cli.options.account import AccountCommand, account_options, parse_account
from restante.cli.options.maildrop import open_maildrop
from restante.cli.output.terminal import plain, plain_lines

if TYPE_CHECKING:
    from restante.protocol.client.replies import Status


@click.command(cls=AccountCommand)
@click.argument("account")
@click.argument("number", type=click.IntRange(1))
@click.argument("lines", type=click.IntRange(0), default=0)
@account_options
def top(account: str, number: int, lines: int, **params: Any) -> None:
    """Show the header of a message and the first lines of its body.

    NUMBER is the number of the message. LINES is the number of body lines, 0 by default.
    """
    with open_maildrop(parse_account(account, params)) as drop:
        head = drop[number].top(lines)
    _print(head)


@click.command(cls=AccountCommand, context_settings={"ignore_unknown_options": True})
@click.argument("account")
@click.argument("command", nargs=-1, required=True)
@account_options
def raw(account: str, command: tuple[str, ...], **params: Any) -> None:
    """Send one POP3 command as typed, and show the reply.

    COMMAND is sent after the login. A message that DELE marks is not removed. Use `pop3 rm` to
    remove messages.
    """
    with open_maildrop(parse_account(account, params)) as drop:
        status: list[Status] = []
        pieces = drop.raw_command(" ".join(command), status)
        collected = b"".join(pieces)
    click.echo(plain(status[0].line))
    _print(collected)
    if not status[0].ok:
        click.get_current_context().exit(6)


def _print(octets: bytes) -> None:
    """Print octets as they are into a pipe, and harmless on a terminal."""
    if not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()
    elif octets:
        click.echo(plain_lines(octets.decode(errors="replace")).rstrip("\n"))
