"""One run of one account: list, retrieve, deliver, delete.

    fetcher = Fetcher(journal.open_account("work"), [destination], connect, Policy())
    for event in fetcher.run():
        print(event)

Messages go in groups: the drafts of a group are made durable, their tokens are in the journal, then
they are delivered, and then the journal has that. So a run that is killed leaves at most one group
in doubt, and the next run settles it before anything else.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from restante.fetch.descriptions import Describer
from restante.fetch.errors import BROKEN
from restante.fetch.events import DoubtSettled, Notice, RunSummary
from restante.fetch.group import opening
from restante.fetch.interfaces import DestinationUnavailableError, MessageRefusedError, Settled
from restante.fetch.notices import Notices
from restante.fetch.parked_messages import ParkedMessages
from restante.fetch.planner import MessageEntry
from restante.fetch.precautions import Precautions
from restante.fetch.session import FetchRun, FetchSession
from restante.protocol.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from restante.client.blocking import Maildrop
    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.events import FetchEvent
    from restante.fetch.interfaces import Destination
    from restante.fetch.planner import Policy


class Fetcher:
    """Fetches the mail of one account.

    Attributes:
        summary: what the run has done so far.
        parked: the messages that are not tried again in this run.
    """

    def __init__(
        self,
        journal: AccountJournal,
        destinations: Sequence[Destination],
        connect: Callable[[Callable[[str, str], None]], Maildrop],
        policy: Policy,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare a run.

        Args:
            journal: the account's part of the journal; its lock is held.
            destinations: where each message goes.
            connect: returns the open maildrop. It gets the function that is called with the id and
                the text of each warning.
            policy: what is fetched, and what is deleted.
            clock: returns the seconds since 1970.
        """
        self.summary = RunSummary()
        self.parked = ParkedMessages(journal, self.summary)
        self._connect = connect
        notices = Notices()
        # Locks are short-lived, so the largest batches come first.
        by_batch = sorted(destinations, key=lambda destination: -destination.batch)
        self._run = FetchRun(
            journal=journal,
            destinations={destination.url: destination for destination in by_batch},
            policy=policy,
            clock=clock,
            summary=self.summary,
            parked=self.parked,
            notices=notices,
            describer=Describer(journal),
            precautions=Precautions(journal, notices),
        )

    def stop(self) -> None:
        """End the run after the message under way; signal handlers and threads may call it."""
        self._run.stopping = True

    def run(self) -> Iterator[FetchEvent]:
        """Fetch, and yield what happens.

        Raises RemoteError: the server failed. Raises FetchError, which is one: a destination or
        the journal failed, or the unique-ids have changed.
        """
        with opening(self._run.destinations.values()):
            yield from self._settle()
            try:
                while (yield from self._hold_session()):
                    pass
            except RemoteError:
                yield from self._new_notices()
                raise
            except DestinationUnavailableError as error:
                yield from self._new_notices()
                yield from self.parked.set_back(error)
                raise

    def settle(self) -> list[FetchEvent]:
        """Ask the destinations for what a killed run has left in doubt, and do nothing else.

        Raises FetchError.
        """
        with opening(self._run.destinations.values()):
            return list(self._settle())

    def _settle(self) -> Iterator[FetchEvent]:
        """Ask the destinations for what a killed run has left in doubt."""
        journal = self._run.journal
        for uid, url, token, size, octets in journal.doubts():
            destination = self._run.destinations.get(url)
            outcome = Settled.UNKNOWN
            if destination is not None:
                try:
                    with contextlib.suppress(ValueError):  # a token of rules that were removed
                        outcome = destination.settle(token)
                except MessageRefusedError as error:
                    journal.withdraw([(uid, url)])
                    yield self.parked.hold(MessageEntry(0, uid, size), str(error))
                    continue
            if outcome is Settled.HERE:
                have = journal.destinations_with(uid) | {url}
                complete = [uid] if have.issuperset(self._run.destinations) else []
                journal.confirm([(uid, url)], complete)
                self.summary.new += len(complete)
                self.summary.octets += octets if complete else 0
            else:
                journal.withdraw([(uid, url)])
            if outcome is Settled.UNKNOWN:
                self.summary.in_doubt.append(uid)
            yield DoubtSettled(uid, url, outcome)

    def _hold_session(self) -> Generator[FetchEvent, None, bool]:
        """Hold one session, and return whether another one has something to do."""
        run = self._run
        try:
            drop = self._connect(run.notices.add)
        except RemoteError as error:
            if error.id != "login-delay" or not self.summary.new:
                raise
            run.notices.add("login-delay", f"{error}; the next run fetches the rest")
            yield from self._new_notices()
            return False
        run.precautions.apply(drop.session)
        session = FetchSession(run, drop)
        try:
            yield from self.parked.park_suspect()
            more = yield from session.run()
        except BROKEN as error:
            drop.abort()
            broken_at = session.under_way
            if session.is_only_over(error) or run.precautions.learn(error, broken_at):
                return not run.stopping
            if broken_at is None:
                raise
            self.parked.suspect(broken_at, error)
            more = True
        except BaseException:
            drop.abort()
            raise
        yield from self._new_notices()
        return more and not run.stopping

    def _new_notices(self) -> list[Notice]:
        """Return the new warnings, and note in the journal if the sizes of LIST are approximate."""
        new = self._run.notices.take()
        if any(notice.id == "list-size" for notice in new):
            self._run.journal.note_approximate_sizes()
        return new
