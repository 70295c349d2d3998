"""Changes of the journal that a user requests, and the plan of the next run."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING

import click

from restante.diagnosis import wording
from restante.fetch import identity
from restante.fetch.fetcher import Fetcher
from restante.fetch.journal_rows import FETCHED, NEVER, MessageState
from restante.fetch.listing import list_messages
from restante.fetch.planner import make_plan
from restante.mail import fields
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from restante.cli.fetching.account import FetchAccount
    from restante.client.blocking import Maildrop
    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.journal_rows import KnownMessage
    from restante.fetch.planner import MessageEntry, Plan


def mark_fetched(account: FetchAccount, journal: AccountJournal, older_than: float | None) -> str:
    """Note messages as fetched: all that are there, or those older than some seconds.

    The age is that of the header's Date; a message without one is new. Raises RemoteError.
    """
    with account.connect() as drop:
        listed = list_messages(drop, journal)
        if older_than is not None:
            listed = _older(drop, listed, time.time() - older_than)
        count = journal.note_known(((m.uid, m.size, None) for m in listed), stay=True)
    if older_than is None:
        _note_gone(journal, {message.uid for message in listed})
    return f"{account.name}: {wording.messages(count)} noted as fetched"


def _note_gone(journal: AccountJournal, listed: set[str]) -> None:
    """Note that known messages are not at the server, or not under their unique-ids any more."""
    gone = [row.uid for row in journal.rows() if row.state in FETCHED and row.uid not in listed]
    journal.note_state(gone, MessageState.GONE)


def _older(drop: Maildrop, listed: Sequence[MessageEntry], moment: float) -> list[MessageEntry]:
    from restante.mail import dates  # with the email package

    older = []
    for start in range(0, len(listed), identity.AT_ONCE):
        some = listed[start : start + identity.AT_ONCE]
        heads = drop.headers([message.number for message in some], keep=fields.MAX_OCTETS)
        for message, head in zip(some, heads, strict=True):
            if isinstance(head, bytes):
                date = dates.parse(decode_text(fields.split(head).first("date")))
                older += [message] if date is not None and date.timestamp() < moment else []
    return older


def skip_messages(account: FetchAccount, journal: AccountJournal, uids: Sequence[str]) -> str:
    """Note messages as fetched that their user gives up.

    The server is asked for those that the journal does not have. Raises RemoteError. Raises
    click.UsageError: the server does not have one, either, and nothing was changed.
    """
    unknown = set(uids) - journal.messages().keys()
    if unknown:
        with account.connect() as drop:
            unknown -= {message.uid for message in list_messages(drop, journal)}
    if unknown:
        names = ", ".join(sorted(unknown))
        text = f"neither the journal nor the server has the unique-id {names}; nothing was skipped"
        raise click.UsageError(f"{text}. See pop3 fetch {account.name} --status")
    count = journal.note_known(((uid, None, None) for uid in uids), stay=True)
    return f"{account.name}: {wording.messages(count)} noted as fetched"


def match_messages(account: FetchAccount, journal: AccountJournal) -> str:
    """Find known messages under the unique-ids that their server uses now, by their headers.

    Messages with the same header are compared by all their octets. Raises RemoteError.
    """
    unsettled = _settle(account, journal)  # what a killed run delivered is known only after this
    with account.connect() as drop:
        all_listed = list_messages(drop, journal)
        journaled = journal.messages()
        by_header: defaultdict[str, list[KnownMessage]] = defaultdict(list)
        for row in journaled.values():
            if row.header_sha256 and (row.state in FETCHED or row.next_try == NEVER):
                by_header[row.header_sha256].append(row)
        listed = [message for message in all_listed if message.uid not in journaled]
        by_listed: defaultdict[str, list[MessageEntry]] = defaultdict(list)
        for message, digest in identity.digest_headers(drop, listed):
            by_listed[digest].append(message)
        are_all = sum(map(len, by_listed.values())) == len(listed)
        pairs = [
            pair
            for digest, messages in by_listed.items()
            for pair in identity.pair_messages(
                drop, journal, by_header.get(digest, ()), messages, are_all=are_all
            )
        ]
    journal.rename(pairs)
    journal.note_state(_missing_uids(journaled.values(), pairs, all_listed), MessageState.GONE)
    left = wording.messages(len(listed) - len(pairs))
    doubt = f"; {wording.messages(unsettled)} may come twice" if unsettled else ""
    return f"{account.name}: {wording.messages(len(pairs))} matched; {left} not known{doubt}"


def _settle(account: FetchAccount, journal: AccountJournal) -> int:
    """Settle what is in doubt, and return of how many messages no destination knows."""
    if not journal.doubts():
        return 0
    destinations = account.open_destinations(journal)
    fetcher = Fetcher(journal, destinations, account.connect, account.policy)
    fetcher.settle()
    return len(set(fetcher.summary.in_doubt))


def _missing_uids(
    known: Iterable[KnownMessage], pairs: Iterable[tuple[str, str]], listed: Iterable[MessageEntry]
) -> list[str]:
    """Return the known messages that the server does not have under any unique-id.

    One without a header cannot be matched, so the server may have it.
    """
    present = {old for old, _ in pairs} | {message.uid for message in listed}
    return [
        row.uid
        for row in known
        if row.state in FETCHED and row.header_sha256 and row.uid not in present
    ]


def plan_run(account: FetchAccount) -> Plan:
    """Return the plan of a run that begins now. Raises RemoteError."""
    with account.open_journal() as journal, account.connect() as drop:
        listed = list_messages(drop, journal)
        plan = make_plan(listed, journal, account.policy, time.time())
        identity.check_moved(drop, listed, journal.rows, plan)
        return plan
