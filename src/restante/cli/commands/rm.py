"""`pop3 rm`: deletes messages that the user has seen and confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from restante.cli.errors import CommandFailed
from restante.cli.options.account import AccountCommand, account_options, parse_account
from restante.cli.options.maildrop import open_maildrop
from restante.cli.options.prompts import NOT_CONFIRMED, require_confirmation
from restante.cli.output.terminal import plain

if TYPE_CHECKING:
    from restante.client.blocking import Maildrop, Message


@click.command(cls=AccountCommand)
@click.argument("account")
@click.argument("messages", nargs=-1, required=True, metavar="NUMBER|UID...")
@click.option("-y", "--yes", is_flag=True, help="Delete without asking for confirmation.")
@account_options
def rm(account: str, messages: tuple[str, ...], *, yes: bool, **params: Any) -> None:
    """Delete messages permanently, by number or unique-id.

    Each message is shown before it is deleted. Message numbers change between sessions; use
    unique-ids in scripts.
    """
    from restante.diagnosis import wording

    with open_maildrop(parse_account(account, params)) as drop:
        chosen = [_find(drop, word) for word in dict.fromkeys(messages)]
        chosen = list({message.number: message for message in chosen}.values())
        for message in chosen:
            click.echo(_describe(drop, message))
        if not yes:
            count = wording.messages(len(chosen))
            question = f"{count} will be deleted permanently. Continue?"
            require_confirmation(question, "Nothing was deleted")
        chosen, refused = _mark(drop, chosen)
        for line in refused:
            click.echo(line, err=True)
        if chosen:
            _commit(drop, chosen)
    if refused:
        click.get_current_context().exit(NOT_CONFIRMED)


def _find(drop: Maildrop, word: str) -> Message:
    """Return the message with this unique-id, else the one with this number."""
    by_uid = [message for message in drop if message.uid == word]
    if len(by_uid) == 1:
        return by_uid[0]
    if len(by_uid) > 1:
        raise CommandFailed(
            f"{len(by_uid)} messages have the unique-id {plain(word)}; use its message number",
            2,
        )
    by_number = [m for m in drop if word.isascii() and str(m.number) == word.lstrip("0")]
    if not by_number:
        text = f"unknown message number or unique-id {plain(word)}; nothing was deleted"
        raise CommandFailed(text, 2)
    return by_number[0]


def _describe(drop: Maildrop, message: Message) -> str:
    from restante.cli.output.message_summary import MessageSummary, summarize
    from restante.diagnosis import wording
    from restante.mail.fields import MAX_OCTETS
    from restante.protocol.errors import ServerRefusedError

    answer = drop.headers([message.number], keep=MAX_OCTETS)[0]
    if isinstance(answer, ServerRefusedError):
        summary = MessageSummary(error=str(answer))
    else:
        summary = summarize(answer)
    subject, sender = plain(summary.title) or "(no subject)", plain(summary.sender)
    return f'{message.number}  {wording.octets(message.size)}  {sender}  "{subject}"'


def _mark(drop: Maildrop, chosen: list[Message]) -> tuple[list[Message], list[str]]:
    """Mark messages; return those marked, and a line for each one that the server refuses.

    A +OK that reports a failure leaves open whether QUIT removes the message.
    """
    refused = drop.delete_many([message.number for message in chosen])
    marked = [message for message in chosen if message.number not in refused]
    return marked, [
        f"message {number} {'may not have been' if denied.says_ok else 'was not'} deleted: "
        f"{plain(str(denied))}"
        for number, denied in sorted(refused.items())
    ]


def _commit(drop: Maildrop, chosen: list[Message]) -> None:
    """Report the reply to QUIT."""
    from restante.diagnosis import wording
    from restante.protocol.errors import RemoteError, ServerRefusedError

    numbers = wording.numbers([message.number for message in chosen])
    try:
        drop.commit()
    except RemoteError as error:
        why = plain(str(error))
        if error.id == "quit-err" and isinstance(error, ServerRefusedError):
            reply = plain(error.reply)
            text = f"{numbers} may not have been deleted: the server replied {reply}"
        elif error.phase != "quit":
            text = f"{numbers}: nothing was deleted, because QUIT was not sent ({why})"
        else:
            text = f"{numbers} may or may not have been deleted: no reply to QUIT ({why})"
        raise _not_confirmed(text) from None
    except KeyboardInterrupt:
        text = f"{numbers} may or may not have been deleted: interrupted before the reply to QUIT"
        raise _not_confirmed(text) from None
    click.echo(f"Deleted {numbers}; the server confirmed it.")


def _not_confirmed(text: str) -> CommandFailed:
    return CommandFailed(f"FAIL quit-err  {text}\n  more  pop3 explain quit-err", NOT_CONFIRMED)
