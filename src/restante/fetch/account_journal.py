"""The part of the journal that belongs to one account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from restante.fetch.imported_messages import ImportedMessages
from restante.fetch.journal_rows import (
    NEVER,
    Doubt,
    KnownMessage,
    MessageState,
    Outline,
    PartDelivery,
    UndeliveredMessage,
    is_named_by_contents,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from restante.fetch.journal import Journal
    from restante.fetch.journal_rows import Preparation

KEPT = 400 * 86400.0  # seconds for which a message that left its server is remembered
GAPS = (3600.0, 4 * 3600.0, 86400.0)  # seconds before a parked message is tried again

_PARK = (
    "INSERT INTO message"
    " (account, uid, state, first_seen, changed, size, tries, next_try, reason)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, uid) DO UPDATE"
    " SET state = excluded.state, tries = max(tries, excluded.tries),"
    " next_try = excluded.next_try, reason = excluded.reason"
)
_OUTLINE = ("uid", "state", "size", "iif(stays, 9e999, first_seen)")  # 9e999 is infinite
_STATES = {state.value: state for state in MessageState}  # faster than MessageState(value)


class AccountJournal:
    """The journal of one account. Its methods raise FetchError."""

    def __init__(self, journal: Journal, account: str, least: float) -> None:
        """`least` is the earliest time that may be noted, in seconds since 1970."""
        self.account = account
        self._journal = journal
        self._least = least

    @property
    def imported(self) -> ImportedMessages:
        """The messages of all accounts that were imported into mailboxes that merge messages."""
        return ImportedMessages(self._journal)

    @property
    def approximate_sizes(self) -> bool:
        """Whether LIST of this server has shown a wrong size."""
        with self._journal.errors():
            rows = self._execute("SELECT approximate_sizes FROM account WHERE name = ?")
            return bool(rows.fetchone()[0])

    def note_approximate_sizes(self) -> None:
        """Remember that LIST of this server is not exact."""
        with self._journal.transaction():
            self._execute("UPDATE account SET approximate_sizes = 1 WHERE name = ?")

    def rows(self) -> Iterator[KnownMessage]:
        """Yield all rows, of which a large account has too many to keep them in memory."""
        with self._journal.errors():
            for row in self._execute(_select(KnownMessage._fields)):
                yield _known_message(*row)

    def outlines(self) -> Iterator[Outline]:
        """Yield the beginnings of all rows, in a fraction of the time."""
        with self._journal.errors():
            yield from self._execute(_select(_OUTLINE))

    def find(self, uids: Iterable[str]) -> Iterator[KnownMessage]:
        """Yield the rows of known unique-ids."""
        select = _select(KnownMessage._fields, " AND uid = ?")
        with self._journal.errors():
            for uid in uids:
                yield _known_message(*self._execute(select, uid).fetchone())

    def messages(self) -> dict[str, KnownMessage]:
        """Return all rows by unique-id."""
        return {row.uid: row for row in self.rows()}

    def named_by_contents(self) -> list[KnownMessage]:
        """Return the messages at the server that are known by their contents, not a unique-id."""
        which = " AND uid > 'header ' AND uid < 'header!' AND state IN ('here', 'known', 'asked')"
        with self._journal.errors():
            rows = self._execute(_select(KnownMessage._fields, which))
            messages = [_known_message(*row) for row in rows]
        return [row for row in messages if is_named_by_contents(row.uid)]

    def doubts(self) -> list[Doubt]:
        """Return the deliveries of an earlier run that were prepared and not confirmed."""
        with self._journal.errors():
            rows = self._execute(
                "SELECT uid, destination, token, size, octets FROM delivery JOIN message"
                " ON message = id WHERE account = ? AND NOT here ORDER BY id"
            )
            return [Doubt(*row) for row in rows]

    def part_deliveries(self) -> dict[str, PartDelivery]:
        """Return the messages that some destinations have and others do not, by unique-id."""
        parts: dict[str, PartDelivery] = {}
        with self._journal.errors():
            rows = self._execute(
                "SELECT uid, sha256, destination FROM delivery JOIN message ON message = id"
                " WHERE account = ? AND here"
                " AND state IN ('prepared', 'parked', 'too_large', 'left')"
            )
            for uid, sha256, url in rows:
                part = parts.setdefault(uid, PartDelivery(uid, sha256, set()))
                part.destinations.add(url)
        return parts

    def destinations_with(self, uid: str) -> set[str]:
        """Return the URLs of the destinations that have a message."""
        with self._journal.errors():
            rows = self._execute(
                "SELECT destination FROM delivery JOIN message ON message = id"
                " WHERE account = ? AND uid = ? AND here",
                uid,
            )
            return {row[0] for row in rows}

    def message_ids(self, uids: Iterable[str]) -> dict[str, str]:
        """Return the Message-IDs of messages that have one, by their unique-ids."""
        select = "SELECT message_id FROM message WHERE account = ? AND uid = ? AND message_id != ''"
        with self._journal.errors():
            rows = {uid: self._execute(select, uid).fetchone() for uid in uids}
        return {uid: row[0] for uid, row in rows.items() if row}

    def prepare(self, preparations: Sequence[Preparation]) -> None:
        """Note messages before they are delivered."""
        now = self._now()
        messages = [  # all that is noted of them but the tokens
            (self.account, MessageState.PREPARED, now, now, *preparation[:-1])
            for preparation in preparations
        ]
        tokens = [
            (url, token, self.account, preparation.uid)
            for preparation in preparations
            for url, token in preparation.tokens.items()
        ]
        with self._journal.transaction() as database:
            database.executemany(
                "INSERT INTO message (account, state, first_seen, changed, uid, size, octets,"
                " sha256, header_sha256, message_id)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (account, uid) DO UPDATE SET state = excluded.state,"
                " changed = excluded.changed, size = excluded.size, octets = excluded.octets,"
                " sha256 = excluded.sha256, header_sha256 = excluded.header_sha256,"
                " message_id = excluded.message_id, stays = 0",
                messages,
            )
            database.executemany(
                "INSERT OR REPLACE INTO delivery SELECT id, ?, ?, 0 FROM message"
                " WHERE account = ? AND uid = ?",
                tokens,
            )

    def confirm(self, deliveries: Iterable[tuple[str, str]], complete: Iterable[str]) -> None:
        """Note deliveries, as pairs of unique-id and URL, and which messages are complete now."""
        with self._journal.transaction() as database:
            database.executemany(
                "UPDATE delivery SET here = 1, token = '' WHERE destination = ? AND message ="
                " (SELECT id FROM message WHERE account = ? AND uid = ?)",
                [(url, self.account, uid) for uid, url in deliveries],
            )
            self._set_state(database, complete, MessageState.HERE)

    def withdraw(self, deliveries: Iterable[tuple[str, str]]) -> None:
        """Note that prepared messages did not arrive, as pairs of unique-id and URL."""
        with self._journal.transaction() as database:
            database.executemany(
                "DELETE FROM delivery WHERE destination = ? AND message ="
                " (SELECT id FROM message WHERE account = ? AND uid = ?)",
                [(url, self.account, uid) for uid, url in deliveries],
            )

    def park(self, uid: str, size: int, reason: str, *, at_once: bool = False) -> None:
        """Note that a message cannot be had for now, and why.

        The gaps between tries grow. With `at_once` the first try again is in the next run.
        """
        now = self._now()
        with self._journal.transaction() as database:
            tries = database.execute(
                "SELECT tries FROM message WHERE account = ? AND uid = ?", (self.account, uid)
            ).fetchone() or (0,)
            gap = 0 if at_once and not tries[0] else GAPS[min(tries[0], len(GAPS) - 1)]
            next_try = self._journal.clock() + gap
            row = (MessageState.PARKED, now, now, size, tries[0] + 1, next_try, reason[:500])
            database.execute(_PARK, (self.account, uid, *row))

    def hold(self, uid: str, size: int, reason: str) -> None:
        """Note that a message is not tried again before `retry`, and why."""
        now = self._now()
        with self._journal.transaction() as database:
            row = (MessageState.PARKED, now, now, size, 0, NEVER, reason[:500])
            database.execute(_PARK, (self.account, uid, *row))

    def postpone(self, uid: str, size: int, reason: str) -> None:
        """Note that the next run tries a message after all others, and why."""
        now = self._now()
        with self._journal.transaction() as database:
            next_try = self._journal.clock()
            row = (MessageState.PARKED, now, now, size, 0, next_try, reason[:500])
            database.execute(_PARK, (self.account, uid, *row))

    def note_too_large(self, messages: Iterable[tuple[str, int]]) -> None:
        """Note messages that stay at the server for their size: pairs of unique-id and octets."""
        now = self._now()
        with self._journal.transaction() as database:
            database.executemany(
                "INSERT INTO message (account, uid, state, first_seen, changed, size)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (account, uid) DO UPDATE"
                " SET state = excluded.state, changed = excluded.changed, size = excluded.size",
                [
                    (self.account, uid, MessageState.TOO_LARGE, now, now, size)
                    for uid, size in messages
                ],
            )

    def describe(self, messages: Iterable[tuple[str, str, str]]) -> None:
        """Note the sender and the subject of messages, as triples with the unique-id."""
        with self._journal.transaction() as database:
            database.executemany(
                "UPDATE message SET sender = ?, subject = ? WHERE account = ? AND uid = ?",
                [(sender, subject, self.account, uid) for uid, sender, subject in messages],
            )

    def undelivered_messages(self) -> list[UndeliveredMessage]:
        """Return the messages that are parked or too large, the oldest first."""
        which = " AND state IN ('parked', 'too_large') ORDER BY first_seen, id"
        with self._journal.errors():
            rows = self._execute(_select(UndeliveredMessage._fields, which))
            return [UndeliveredMessage(row[0], _STATES[row[1]], *row[2:]) for row in rows]

    def retry(self) -> None:
        """Try all parked messages again at the next run."""
        with self._journal.transaction():
            self._execute("UPDATE message SET next_try = 0 WHERE account = ? AND state = 'parked'")

    def note_known(
        self, messages: Iterable[tuple[str, int | None, float | None]], *, stay: bool
    ) -> int:
        """Note messages that are not to be fetched, and return how many were not known before.

        Each has its unique-id, its size, and when it was first seen; None for unknown, or for now.
        With `stay` they are never deleted at their server: perhaps nothing has fetched them.
        """
        now = self._now()
        with self._journal.transaction() as database:
            before = database.total_changes
            database.executemany(
                "INSERT INTO message (account, uid, state, first_seen, changed, size, stays)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, uid) DO UPDATE"
                " SET state = excluded.state, stays = excluded.stays"
                " WHERE state IN ('prepared', 'parked', 'too_large', 'left')",
                [
                    (
                        self.account,
                        uid,
                        MessageState.KNOWN,
                        now if seen is None else seen,
                        now,
                        size,
                        stay,
                    )
                    for uid, size, seen in messages
                ],
            )
            return database.total_changes - before

    def note_state(self, uids: Iterable[str], state: MessageState) -> None:
        """Change the state of messages."""
        with self._journal.transaction() as database:
            self._set_state(database, uids, state)

    def note_sizes(self, sizes: Iterable[tuple[str, int]]) -> None:
        """Note the octets by LIST, where they changed and the message did not."""
        with self._journal.transaction() as database:
            database.executemany(
                "UPDATE message SET size = ? WHERE account = ? AND uid = ?",
                [(size, self.account, uid) for uid, size in sizes],
            )

    def forget(self, uids: Iterable[str]) -> None:
        """Remove rows: the server has given their unique-ids to other messages."""
        with self._journal.transaction() as database:
            database.executemany(
                "DELETE FROM message WHERE account = ? AND uid = ?",
                [(self.account, uid) for uid in uids],
            )

    def rename(self, uids: Iterable[tuple[str, str]]) -> None:
        """Give messages the unique-ids that their server uses now: pairs of old and new.

        Another row with a new unique-id is removed.
        """
        pairs = list(uids)
        with self._journal.transaction() as database:
            for place, (old, _) in enumerate(pairs):  # by way of names that no server gives
                database.execute(
                    "UPDATE message SET uid = ? WHERE account = ? AND uid = ?",
                    (f"\0{place}", self.account, old),
                )
            for place, (_, new) in enumerate(pairs):
                database.execute(
                    "UPDATE OR REPLACE message SET uid = ? WHERE account = ? AND uid = ?",
                    (new, self.account, f"\0{place}"),
                )

    def note_next_run(self, moment: float | None) -> None:
        """Note when the next run begins, in seconds since 1970; None: it is not known."""
        with self._journal.transaction() as database:
            update = "UPDATE account SET next_run = ? WHERE name = ?"
            database.execute(update, (moment, self.account))

    def end_run(self, outcome: str) -> str | None:
        """Note when and how a run ended, and return how the one before it did.

        Messages that left the server long ago are forgotten.
        """
        now = self._journal.clock()
        with self._journal.transaction() as database:
            select = "SELECT outcome FROM account WHERE name = ?"
            before = database.execute(select, (self.account,)).fetchone()
            database.execute(
                "UPDATE account SET last_run = ?, outcome = ?,"
                " latest_run = max(ifnull(latest_run, 0), ?) WHERE name = ?",
                (now, outcome, now, self.account),
            )
            database.execute(
                "DELETE FROM message WHERE account = ? AND state IN ('gone', 'left')"
                " AND changed < ?",
                (self.account, now - KEPT),
            )
        return before[0] if before else None

    def _set_state(
        self, database: sqlite3.Connection, uids: Iterable[str], state: MessageState
    ) -> None:
        now = self._now()
        database.executemany(
            "UPDATE message SET state = ?, changed = ? WHERE account = ? AND uid = ?",
            [(state, now, self.account, uid) for uid in uids],
        )

    def _now(self) -> float:
        return max(self._least, self._journal.clock())

    def _execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        return self._journal.database.execute(statement, (self.account, *values))


def _known_message(uid: str, state: str, *more: Any) -> KnownMessage:
    return KnownMessage(uid, _STATES[state], *more)


def _select(columns: Iterable[str], which: str = "") -> str:
    """Return the statement for columns of an account's rows: of all, or of those that it names."""
    return f"SELECT {', '.join(columns)} FROM message WHERE account = ?{which}"  # noqa: S608  # no value
