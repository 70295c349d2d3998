"""`pop3 stat`, `pop3 ls` and `pop3 uidl`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from restante.cli.account import account_options, is_terminal, read
from restante.cli.opened import opened
from restante.cli.plain import plain

if TYPE_CHECKING:
    from restante.cli.heads import Head
    from restante.client.blocking import Maildrop

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
        click.echo(json.dumps({"messages": count, "octets": size}))
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
        click.echo(json.dumps([{"number": n, "uid": uid} for n, uid in found.items()], indent=2))
        return
    for number, uid in found.items():
        click.echo(f"{number} {plain(uid) if uid is not None else '(none)'}")


@click.command()
@click.argument("account")
@account_options
@json_option
def ls(account: str, *, as_json: bool, **given: Any) -> None:
    """List the messages: size, date, sender and subject."""
    from restante.cli import heads

    with opened(read(account, given)) as drop:
        found = _heads(drop)
        rows = [(message, head) for message, head in zip(drop, found, strict=True)]
    if as_json:
        listed = [
            {"number": m.number, "size": m.size, "uid": m.uid, **h.as_json()} for m, h in rows
        ]
        click.echo(json.dumps(listed, indent=2, ensure_ascii=False))
        return
    for line in heads.table(rows, fit=is_terminal()):
        click.echo(line)


def _heads(drop: Maildrop) -> list[Head]:
    """Return the heads of all messages, with a bar where that takes long."""
    from restante.cli import heads
    from restante.cli.progress import Progress

    numbers = [message.number for message in drop]
    found: list[Head] = []
    with Progress("headers") as progress:
        for start in range(0, len(numbers), AT_ONCE):
            found += map(heads.parse, drop.headers(numbers[start : start + AT_ONCE]))
            progress.update(len(found), len(numbers))
    return found
