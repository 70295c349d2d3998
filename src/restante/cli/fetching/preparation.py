"""Does what the options ask of an account's journal before its run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from restante.cli.fetching.marking import mark_fetched, match_messages, skip_messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.cli.fetching.account import FetchAccount
    from restante.fetch.account_journal import AccountJournal


def prepare(
    account: FetchAccount, journal: AccountJournal, params: dict[str, Any]
) -> Iterator[str]:
    """Do what the options say before a run, and yield what was done.

    Raises RemoteError and click.ClickException.
    """
    if params["retry"]:
        journal.retry()
    if params["skip"]:
        yield skip_messages(account, journal, params["skip"])
    if params["match"]:
        yield match_messages(account, journal)
    if params["delete_big"]:
        from restante.cli.fetching.large_messages import delete_large

        yield delete_large(account, journal, time.time(), yes=params["yes"])
    if params["mark_all"] or params["since"]:
        yield mark_fetched(account, journal, params["since"])
