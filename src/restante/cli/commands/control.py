"""`pop3 sessions`, `pop3 kick` and `pop3 status`: what a running server does, and its sessions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from restante.cli.options.account_names import AccountName
from restante.cli.options.control import ask_server, control_options, report_silent
from restante.protocol.text import to_json

if TYPE_CHECKING:
    from pathlib import Path

    from restante.server.control.messages import ControlReply


@click.command()
@control_options
@click.option("--json", "as_json", is_flag=True, help="Print each session as a line of JSON.")
def sessions(folder: Path, *, as_json: bool) -> None:
    """Show the sessions of a running server.

    The longest session comes first. With a cluster, those of all nodes are shown. Exits with 1,
    after the other sessions, if a process of the server or a node does not answer.
    """
    from restante.cli.output.session_table import session_table
    from restante.server.control.messages import Action

    replies = ask_server(folder, Action.SESSIONS)
    rows = sorted(
        ((facts, reply) for reply in replies.received for facts in reply.sessions),
        key=lambda pair: pair[0].since,
    )
    if as_json:
        for facts, reply in rows:
            click.echo(to_json({**_fields(facts), "worker": reply.worker, "node": reply.node}))
    else:
        for line in session_table(rows, time.time()):
            click.echo(line)
    report_silent(replies)


@click.command()
@click.argument("who", metavar="USER|ADDRESS|ID", type=AccountName())
@control_options
def kick(who: str, folder: Path) -> None:
    """End the sessions of a user or an address, or one session.

    A session ends after the reply under way, and no message is removed. `pop3 user lock` keeps a
    user from a new login. With a cluster, the sessions end at all nodes, within two seconds. With
    `mail.junk`, USER may be the login name of a junk maildrop.

    Exits with 1 if there was no such session, or if a process of the server or a node does not
    answer.
    """
    from restante.diagnosis.wording import quantity
    from restante.server.control.messages import Action

    replies = ask_server(folder, Action.KICK, who)
    ended = sum(len(reply.sessions) for reply in replies.received)
    click.echo(f"Ended {quantity(ended, 'session')}.")
    report_silent(replies)
    if not ended:
        raise click.exceptions.Exit(1)


@click.command()
@control_options
@click.option("--json", "as_json", is_flag=True, help="Print each process as a line of JSON.")
def status(folder: Path, *, as_json: bool) -> None:
    """Show the processes, addresses and certificates of a server.

    With a cluster, its nodes are shown, and when each was last seen. Exits with 1 if a process or
    a node does not answer.
    """
    from restante.cli.output.session_table import describe_status
    from restante.server.control.messages import Action

    replies = ask_server(folder, Action.STATUS)
    nodes = replies.nodes.nodes if replies.nodes is not None else []
    if as_json:
        for reply in replies.received:
            if reply.status is not None:
                click.echo(to_json(_status_fields(reply)))
        for node in nodes:
            click.echo(to_json(_fields(node)))
    else:
        for line in describe_status(replies.received, replies.nodes):
            click.echo(line)
    report_silent(replies)


def _status_fields(reply: ControlReply) -> dict[str, object]:
    fields = _fields(reply.status)
    return {"worker": reply.worker, "node": reply.node, **fields}


def _fields(struct: object) -> dict[str, object]:
    import msgspec

    fields: dict[str, object] = msgspec.to_builtins(struct)
    return fields
