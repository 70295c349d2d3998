"""`pop3 stat`, `pop3 ls` and `pop3 uidl`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import click

from restante.cli.options.account import AccountCommand, account_options, parse_account
from restante.cli.options.connection import exit_for
from restante.cli.options.maildrop import open_maildrop
from restante.cli.output.terminal import plain
from restante.cli.output.wrapping import is_terminal
from restante.protocol.text import to_json

if TYPE_CHECKING:
    from restante.cli.output.message_summary import MessageSummary
    from restante.client.blocking import Maildrop
    from restante.protocol.errors import ServerRefusedError

AT_ONCE = 250  # headers that are requested before a bar moves: together at most 64 MiB, each time

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.command(cls=AccountCommand)
@click.argument("account")
@account_options
@json_option
def stat(account: str, *, as_json: bool, **params: Any) -> None:
    """Show the number of messages and their total size."""
    from restante.diagnosis import wording

    with open_maildrop(parse_account(account, params)) as drop:
        count, size = len(drop), sum(message.size for message in drop)
    if as_json:
        click.echo(to_json({"messages": count, "octets": size}))
    else:
        click.echo(f"{wording.messages(count)}, {wording.octets(size)} ({size} octets)")


@click.command(cls=AccountCommand)
@click.argument("account")
@account_options
@json_option
def uidl(account: str, *, as_json: bool, **params: Any) -> None:
    """List the unique-id of each message."""
    with open_maildrop(parse_account(account, params)) as drop:
        uids = {message.number: message.uid for message in drop}
    if as_json:
        click.echo(to_json([{"number": n, "uid": uid} for n, uid in uids.items()], indent=2))
        return
    for number, uid in uids.items():
        click.echo(f"{number} {plain(uid) if uid is not None else '(none)'}")


@click.command(cls=AccountCommand)
@click.argument("account")
@click.option(
    "--retr",
    is_flag=True,
    help="Fetch whole messages, up to 1 MB each, if TOP is not supported. Servers may mark them as "
    "read.",
)
@account_options
@json_option
def ls(account: str, *, retr: bool, as_json: bool, **params: Any) -> None:
    """List the messages with size, date, sender and subject."""
    from restante.cli.output.message_table import ENDLESS, message_table

    with open_maildrop(parse_account(account, params)) as drop:
        summaries, missing = _fetch_summaries(drop, retr=retr)
        messages = list(drop)
    if as_json:
        listed = [
            {"number": m.number, "size": m.size, "uid": m.uid, **summaries[m.number].as_json()}
            for m in messages
        ]
        click.echo(to_json(listed, indent=2))
    else:
        sizes = {message.number: message.size for message in messages}
        width = shutil.get_terminal_size().columns if is_terminal() else ENDLESS
        lines = message_table(sizes, summaries, width=width)
        for line in lines if sizes else ["The mailbox is empty."]:
            click.echo(line)
    if missing:
        _warn_top_missing(retr=retr)
    refused = sum(1 for summary in summaries.values() if summary.error)
    if refused:
        _warn_refused(refused, len(messages))
    if missing or refused:
        click.get_current_context().exit(1)
    exit_for("list-size")


def _fetch_summaries(drop: Maildrop, *, retr: bool) -> tuple[dict[int, MessageSummary], bool]:
    """Return what the headers say, with a bar if that takes long, and whether some are missing.

    With `retr` whole messages are fetched if the server has no TOP.
    """
    from restante.cli.output.headers_by_retr import headers_by_retr
    from restante.cli.output.progress import Progress
    from restante.mail.fields import MAX_OCTETS

    numbers = [message.number for message in drop]
    by_top: dict[int, MessageSummary] = {}
    missing: list[int] = []
    with Progress("headers") as progress:
        for start in range(0, len(numbers), AT_ONCE):
            batch = numbers[start : start + AT_ONCE]
            for number, answer in zip(batch, drop.headers(batch, keep=MAX_OCTETS), strict=True):
                missing += [number] if _is_without_top(answer) else []
                by_top[number] = _summarize(answer)
            if len(missing) == len(by_top):  # the other answers would be the same
                missing = numbers
                break
            progress.update(len(by_top), len(numbers))
    answers = headers_by_retr(drop, missing, MAX_OCTETS) if retr else ()
    by_retr = {number: _summarize(answer) for number, answer in answers}
    summaries = dict.fromkeys(numbers, _summarize(None)) | by_top | by_retr
    return summaries, len(by_retr) < len(missing)


def _is_without_top(answer: bytes | ServerRefusedError) -> bool:
    return not isinstance(answer, bytes) and answer.id == "top-missing"


def _warn_top_missing(*, retr: bool) -> None:
    """Say why rows show a size alone."""
    why = "these messages are too large to fetch" if retr else "--retr fetches whole messages"
    click.echo(
        f"WARN top-missing  the server does not support TOP, so only sizes are shown; {why}",
        err=True,
    )


def _warn_refused(refused: int, messages: int) -> None:
    """Say how many rows show the server's refusal in place of a subject."""
    text = f"the server refused {refused} of {messages} headers; pop3 explain retr-refused"
    click.echo(f"WARN retr-refused  {text}", err=True)


def _summarize(answer: bytes | ServerRefusedError | None) -> MessageSummary:
    """Return what an answer to TOP says; for a refusal, the server's words."""
    from restante.cli.output.message_summary import MessageSummary, summarize

    if isinstance(answer, bytes):
        return summarize(answer)
    unknown = answer is None or _is_without_top(answer)
    return MessageSummary(known=False) if unknown else MessageSummary(error=str(answer))
