"""`pop3 stat`, `pop3 ls` and `pop3 uidl`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import click

from restante.cli.account import account_options, read
from restante.cli.lines import is_terminal
from restante.cli.opened import opened
from restante.cli.plain import plain
from restante.protocol.text import to_json

if TYPE_CHECKING:
    from restante.cli.heads import Head
    from restante.client.blocking import Maildrop
    from restante.protocol.failures import Denied

AT_ONCE = 100  # headers that are asked for before a bar moves

json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.command()
@click.argument("account")
@account_options
@json_option
def stat(account: str, *, as_json: bool, **given: Any) -> None:
    """Tell how many messages there are, and how large they are together."""
    from restante.diagnosis import texts

    with opened(read(account, given)) as drop:
        count, size = len(drop), sum(message.size for message in drop)
    if as_json:
        click.echo(to_json({"messages": count, "octets": size}))
    else:
        click.echo(f"{texts.messages(count)}, {texts.octets(size)} ({size} octets)")


@click.command()
@click.argument("account")
@account_options
@json_option
def uidl(account: str, *, as_json: bool, **given: Any) -> None:
    """List the unique-id of each message."""
    with opened(read(account, given)) as drop:
        found = {message.number: message.uid for message in drop}
    if as_json:
        click.echo(to_json([{"number": n, "uid": uid} for n, uid in found.items()], indent=2))
        return
    for number, uid in found.items():
        click.echo(f"{number} {plain(uid) if uid is not None else '(none)'}")


@click.command()
@click.argument("account")
@account_options
@json_option
def ls(account: str, *, as_json: bool, **given: Any) -> None:
    """List the messages: size, date, sender and subject."""
    from restante.cli import listing

    with opened(read(account, given)) as drop:
        heads = _heads(drop)
        messages = list(drop)
    if as_json:
        listed = [
            {"number": m.number, "size": m.size, "uid": m.uid, **heads[m.number].as_json()}
            for m in messages
        ]
        click.echo(to_json(listed, indent=2))
        return
    sizes = {message.number: message.size for message in messages}
    width = shutil.get_terminal_size().columns if is_terminal() else listing.ENDLESS
    for line in listing.table(sizes, heads, width=width) if sizes else ["There are no messages."]:
        click.echo(line)


def _heads(drop: Maildrop) -> dict[int, Head]:
    """Return the heads of all messages, with a bar where that takes long."""
    from restante.cli.heads import FETCHED
    from restante.cli.progress import Progress

    numbers = [message.number for message in drop]
    found: list[Head] = []
    with Progress("headers") as progress:
        for start in range(0, len(numbers), AT_ONCE):
            some = numbers[start : start + AT_ONCE]
            found += map(_head, drop.headers(some, keep=FETCHED))
            progress.update(len(found), len(numbers))
    return dict(zip(numbers, found, strict=True))


def _head(answer: bytes | Denied) -> Head:
    """Return what an answer to TOP says; where it was refused, the server's words."""
    from restante.cli.heads import Head, head_of

    return head_of(answer) if isinstance(answer, bytes) else Head(subject=f"({answer})")
