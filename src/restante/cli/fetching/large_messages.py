"""Deletes messages that are too large, once their user has seen and confirmed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from restante.cli.fetching import report
from restante.cli.options.prompts import require_confirmation
from restante.diagnosis import wording
from restante.fetch import identity
from restante.fetch.descriptions import Describer
from restante.fetch.journal_rows import MessageState
from restante.fetch.listing import list_messages
from restante.fetch.planner import make_plan

if TYPE_CHECKING:
    from restante.cli.fetching.account import FetchAccount
    from restante.client.blocking import Maildrop
    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.planner import MessageEntry


def delete_large(account: FetchAccount, journal: AccountJournal, now: float, *, yes: bool) -> str:
    """Delete the messages over `max_size` that no destination has, after a question.

    Raises RemoteError; CommandFailed: the user did not confirm it; click.UsageError: no limit.
    """
    if account.policy.max_size is None:
        raise click.UsageError(f"{account.name}: --delete-big requires --max-size, or max_size")
    with account.connect() as drop:
        listed = list_messages(drop, journal)
        plan = make_plan(listed, journal, account.policy, now)
        identity.check_moved(drop, listed, journal.rows, plan)
        too_large = plan.too_large
        if not too_large:
            return f"{account.name}: no message is too large"
        describer = Describer(journal)
        describer.add_too_large(plan.new_too_large)
        describer.ask(drop, listed)
        rows = {row.uid: row for row in journal.undelivered_messages()}
        for message in too_large:
            line = f"{account.name}  {report.describe(rows[message.uid], now)}"
            click.echo(line, err=True)  # as the question: the output may be JSON
    if not yes:
        # No session is open while the user thinks: servers end idle ones.
        question = f"Delete {wording.messages(len(too_large))} at the server, for ever?"
        require_confirmation(question, "Nothing was deleted", err=True)
    count = _delete(account, journal, too_large)
    return f"{account.name}: {wording.messages(count)} deleted that nothing has fetched"


def _delete(account: FetchAccount, journal: AccountJournal, confirmed: list[MessageEntry]) -> int:
    """Delete the messages that are still there with the sizes that the user has seen."""
    known = {(message.uid, message.size) for message in confirmed}
    with account.connect() as drop:
        listed = list_messages(drop, journal)
        found = [message for message in listed if (message.uid, message.size) in known]
        _delete_all(drop, found)
    journal.note_state([message.uid for message in found], MessageState.GONE)
    return len(found)


def _delete_all(drop: Maildrop, messages: list[MessageEntry]) -> None:
    """Delete all messages. Raises RemoteError: none is deleted if the server rejects one."""
    for refused in drop.delete_many([message.number for message in messages]).values():
        raise refused
    drop.commit()
