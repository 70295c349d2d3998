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

from restante.fetch import identity
from restante.fetch.batches import first_messages, lists_a_part, split_into_groups
from restante.fetch.descriptions import Describer
from restante.fetch.errors import BROKEN, ENDED, LOST, FetchError
from restante.fetch.events import (
    DoubtSettled,
    MessageDelivered,
    MessageParked,
    MessagesDeleted,
    Notice,
    OctetsReceived,
    RunSummary,
    SessionPlanned,
)
from restante.fetch.group import Group, opening
from restante.fetch.interfaces import DestinationUnavailableError, MessageRefusedError, Settled
from restante.fetch.journal_rows import MessageState
from restante.fetch.known_contents import KnownContents
from restante.fetch.large_headers import retrieve_headers
from restante.fetch.listing import list_messages
from restante.fetch.notices import Notices
from restante.fetch.parked_messages import ParkedMessages
from restante.fetch.planner import MessageEntry, came_with_other_size, make_plan
from restante.fetch.precautions import Precautions
from restante.fetch.retrieval import NOTHING_CAME, Receiver, retrieve_pieces
from restante.protocol.errors import RemoteError, ServerRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from restante.client.blocking import Maildrop
    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.events import FetchEvent
    from restante.fetch.interfaces import Destination
    from restante.fetch.planner import Plan, Policy
    from restante.fetch.retrieval import Retrieved


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
        self._stopping = False
        self._journal = journal
        # Locks are short-lived, so the largest batches come first.
        by_batch = sorted(destinations, key=lambda destination: -destination.batch)
        self._destinations = {destination.url: destination for destination in by_batch}
        self._connect = connect
        self._policy = policy
        self._clock = clock
        self._notices = Notices()
        self._unproven: set[str] = set()  # those of messages that may be others than the known ones
        self._under_way: MessageEntry | None = None
        self._precautions = Precautions(journal, self._notices)
        self._known = KnownContents(journal)
        self._described = Describer(journal)
        self._before_session = 0  # messages that were delivered before

    def stop(self) -> None:
        """End the run after the message under way; signal handlers and threads may call it."""
        self._stopping = True

    def run(self) -> Iterator[FetchEvent]:
        """Fetch, and yield what happens.

        Raises RemoteError: the server failed. Raises FetchError, which is one: a destination or
        the journal failed, or the unique-ids have changed.
        """
        with opening(self._destinations.values()):
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
        with opening(self._destinations.values()):
            return list(self._settle())

    def _settle(self) -> Iterator[FetchEvent]:
        """Ask the destinations for what a killed run has left in doubt."""
        for uid, url, token, size, octets in self._journal.doubts():
            destination = self._destinations.get(url)
            outcome = Settled.UNKNOWN
            if destination is not None:
                try:
                    with contextlib.suppress(ValueError):  # a token of rules that were removed
                        outcome = destination.settle(token)
                except MessageRefusedError as error:
                    self._journal.withdraw([(uid, url)])
                    yield self.parked.hold(MessageEntry(0, uid, size), str(error))
                    continue
            if outcome is Settled.HERE:
                have = self._journal.destinations_with(uid) | {url}
                complete = [uid] if have.issuperset(self._destinations) else []
                self._journal.confirm([(uid, url)], complete)
                self.summary.new += len(complete)
                self.summary.octets += octets if complete else 0
            else:
                self._journal.withdraw([(uid, url)])
            if outcome is Settled.UNKNOWN:
                self.summary.in_doubt.append(uid)
            yield DoubtSettled(uid, url, outcome)

    def _hold_session(self) -> Generator[FetchEvent, None, bool]:
        """Hold one session, and return whether another one has something to do."""
        try:
            drop = self._connect(self._notices.add)
        except RemoteError as error:
            if error.id != "login-delay" or not self.summary.new:
                raise
            self._notices.add("login-delay", f"{error}; the next run fetches the rest")
            yield from self._new_notices()
            return False
        self._before_session = self.summary.new
        self._precautions.apply(drop.session)
        try:
            yield from self.parked.park_suspect()
            more = yield from self._use(drop)
        except BROKEN as error:
            drop.abort()
            if self._is_only_over(error) or self._precautions.learn(error, self._under_way):
                self._under_way, self._described.is_asking = None, False
                return not self._stopping
            if self._under_way is None:
                raise
            self.parked.suspect(self._under_way, error)
            self._under_way, more = None, True
        except BaseException:
            drop.abort()
            raise
        yield from self._new_notices()
        return more and not self._stopping

    def _is_only_over(self, error: RemoteError) -> bool:
        """Return whether a lost session says nothing of the message under way.

        Gmail ends a session with its access token, an hour or less after its beginning. Where a
        session delivered something, the message under way begins the next one. A header that a
        server fails at is not asked for again.
        """
        progressed = self.summary.new > self._before_session
        return self._described.is_asking or (isinstance(error, ENDED) and progressed)

    def _use(self, drop: Maildrop) -> Generator[FetchEvent, None, bool]:
        """Fetch and delete in an open maildrop, and return whether there is more to fetch."""
        listed = list_messages(drop, self._journal)
        now = self._clock()  # for the whole session: what becomes due later is not compared
        plan = self._plan(listed, now)
        identity.check_moved(drop, listed, self._journal.rows, plan)
        if plan.doubtful or plan.to_verify:
            self._judge(drop, plan)
            plan = self._plan(listed, now)
        self.summary.too_large = plan.too_large
        self.summary.waiting = [one for one in plan.waiting if one.uid not in self.parked]
        self._known.begin_session(listed, plan)
        to_fetch = [message for message in plan.fetch if message.uid not in self.parked]
        if self._policy.limit is not None:
            del to_fetch[max(0, self._policy.limit - self.summary.new) :]
        one_session = drop.session.avoids_top or "LOGIN-DELAY" in (drop.session.capabilities or {})
        chosen = to_fetch if one_session else first_messages(to_fetch)
        yield SessionPlanned(len(listed), len(to_fetch), sum(m.size for m in to_fetch))
        yield from self._fetch(drop, chosen)
        yield from self._fetch_headers(drop, plan.headers)
        self._described.add_too_large(plan.new_too_large)
        self._described.ask(drop)
        if chosen and self._policy.keep_seconds is not None:
            plan = self._plan(listed, now)
        keep = self._unproven | self._find_mixed(drop, plan)
        yield from self._delete(drop, [m for m in plan.delete if m.uid not in keep])
        more = len(chosen) < len(to_fetch)
        if not (more or self._policy.limit or self._stopping or self.summary.parked):
            self._journal.note_state(plan.gone, MessageState.GONE)  # else the rest may be they
        self._journal.note_state(plan.left, MessageState.LEFT)
        progressed = self.summary.new > self._before_session
        return more or (progressed and lists_a_part(drop.session))

    def _plan(self, listed: Sequence[MessageEntry], now: float) -> Plan:
        return make_plan(listed, self._journal, self._policy, now)

    def _judge(self, drop: Maildrop, plan: Plan) -> None:
        """Note which messages are known under their unique-ids, and which ones are new."""
        unsure = plan.doubtful | plan.to_verify
        ids = self._journal.message_ids(message.uid for message in plan.to_verify)
        same, others = identity.compare_messages(drop, unsure, ids)
        exchanged = identity.find_exchanged(others, unsure)
        self._journal.rename((uid, message.uid) for message, uid in exchanged.items())
        same += exchanged
        self._journal.note_state((message.uid for message in same), MessageState.HERE)
        self._journal.note_sizes((message.uid, message.size) for message in same)
        self._journal.forget(message.uid for message in others if message not in exchanged)
        self._unproven = {message.uid for message in unsure.keys() - {*same, *others}}

    def _find_mixed(self, drop: Maildrop, plan: Plan) -> set[str]:
        """Return the unique-ids of messages to delete that may have come as other ones."""
        if drop.session.avoids_top:
            return set()
        unsure = {m: row for m, row in plan.to_verify.items() if came_with_other_size(row)}
        ids = self._journal.message_ids(message.uid for message in unsure)
        return identity.find_mixed(drop, unsure, ids)

    def _fetch(self, drop: Maildrop, messages: Sequence[MessageEntry]) -> Iterator[FetchEvent]:
        """Retrieve and deliver messages in groups."""
        size = min(destination.batch for destination in self._destinations.values())
        come = 0
        for some in split_into_groups(messages, size):
            if self._stopping:
                break
            with Group(self._destinations, self._journal) as group:
                try:
                    yield from self._retrieve(drop, some, group)
                except (*BROKEN, DestinationUnavailableError):
                    yield from self._deliver(group)  # what came before the broken message
                    raise
                come += group.octets
                yield OctetsReceived(come)
                yield from self._deliver(group)

    def _fetch_headers(
        self, drop: Maildrop, messages: Sequence[MessageEntry]
    ) -> Iterator[FetchEvent]:
        """Deliver the headers of messages that are too large."""
        size = min(destination.batch for destination in self._destinations.values())
        for some in split_into_groups(messages, size):
            if self._stopping:
                break
            with Group(self._destinations, self._journal) as group:
                for header in retrieve_headers(drop, some, self._journal, self._destinations):
                    group.add(header)
                yield from self._deliver(group)

    def _retrieve(
        self, drop: Maildrop, some: Sequence[MessageEntry], group: Group
    ) -> Iterator[FetchEvent]:
        """Retrieve messages into a group."""
        receivers: dict[int, Receiver] = {}
        unavailable: DestinationUnavailableError | None = None
        try:
            for message in some:
                try:
                    receivers[message.number] = Receiver(
                        message, self._journal.account, self._destinations
                    )
                except MessageRefusedError as error:
                    yield self.parked.park(message, str(error))
                    self.parked.count_failure(FetchError("fetch-delivery", str(error)))
                except DestinationUnavailableError as error:
                    unavailable = error
                    break
            for number, piece in retrieve_pieces(
                drop,
                list(receivers),
                ahead=not self._precautions.inexact_sizes,
                is_stopping=lambda: self._stopping,
            ):
                if isinstance(piece, bytes):
                    receivers[number].write(piece)
                    continue
                receiver = receivers.pop(number)
                if parked := self._accept(receiver, piece, group):
                    yield parked
            if unavailable is not None:
                raise unavailable
        except BROKEN:
            self._under_way = next((receiver.message for receiver in receivers.values()), None)
            raise
        finally:
            for receiver in receivers.values():
                receiver.discard()

    def _accept(self, receiver: Receiver, end: object, group: Group) -> MessageParked | None:
        """Add a message to a group, unless it is a known one; park it if it did not come."""
        message = receiver.message
        is_refused = isinstance(end, ServerRefusedError)
        if is_refused or (not receiver.octets and message.size > len(b"\r\n")):
            receiver.discard()
            self._described.add(message)
            return self.parked.park(message, str(end) if is_refused else NOTHING_CAME)
        retrieved = receiver.finish()
        if self._known.parts:
            self._known.skip_delivered(retrieved)
        if self._known.vanished and (before := self._known.take(retrieved, self._destinations)):
            text = f"{retrieved.message.uid} came before as {before}; it is not delivered again"
            self._notices.add("uids-changed", text)
        else:
            group.add(retrieved)
        return None

    def _deliver(self, group: Group) -> Iterator[FetchEvent]:
        try:
            delivered = group.deliver()
        except DestinationUnavailableError:
            yield from map(self._count_delivered, group.complete)
            raise
        refused: list[Retrieved] = []  # since the last one that was delivered
        for retrieved in delivered:
            if retrieved.refused:
                refused.append(retrieved)
                continue
            yield from map(self._park_refused, refused)  # the fault was theirs
            refused.clear()
            yield self._count_delivered(retrieved)
        for retrieved in refused:
            yield self._park_refused(retrieved)
            self.parked.count_failure(FetchError("fetch-delivery", retrieved.refused))

    def _park_refused(self, retrieved: Retrieved) -> MessageParked:
        parked = self.parked.park(retrieved.message, retrieved.refused)
        self._described.note_header(retrieved.message.uid, retrieved.content.header)
        return parked

    def _count_delivered(self, retrieved: Retrieved) -> MessageDelivered:
        self.parked.count_delivery()
        self.summary.new += 1
        self.summary.octets += retrieved.content.octets
        return MessageDelivered(retrieved.message.uid, retrieved.content.octets, retrieved.seconds)

    def _delete(self, drop: Maildrop, messages: Sequence[MessageEntry]) -> Iterator[FetchEvent]:
        """Mark messages and end the session by QUIT, which deletes them.

        What was asked for and not confirmed is asked for again by the next run.
        """
        refused = drop.delete_many([message.number for message in messages])
        if refused:
            uid = next(message.uid for message in messages if message.number in refused)
            rest = len(refused) - 1
            more = f"; {rest} more {'is' if rest == 1 else 'are'} rejected" if rest else ""
            self._notices.add("fetch-dele", f"{uid}: {next(iter(refused.values()))}{more}")
        marked = [message.uid for message in messages if message.number not in refused]
        if marked:
            self._journal.note_state(marked, MessageState.ASKED)
        try:
            drop.commit()
        except (*LOST, ServerRefusedError) as error:
            if marked:
                raise
            self._notices.add("quit-noreply", f"{error.text}; no message was marked")
        if marked:
            self._journal.note_state(marked, MessageState.GONE)
            self.summary.deleted += len(marked)
            yield MessagesDeleted(tuple(marked))

    def _new_notices(self) -> list[Notice]:
        """Return the new warnings, and note in the journal if the sizes of LIST are approximate."""
        new = self._notices.take()
        if any(notice.id == "list-size" for notice in new):
            self._journal.note_approximate_sizes()
        return new
