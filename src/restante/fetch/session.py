"""One session of a run: from its list of messages to its QUIT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.fetch import identity
from restante.fetch.batches import first_messages, lists_a_part, split_into_groups
from restante.fetch.errors import BROKEN, FetchError
from restante.fetch.events import (
    MessageDelivered,
    MessageParked,
    MessagesDeleted,
    OctetsReceived,
    SessionPlanned,
)
from restante.fetch.group import Group
from restante.fetch.interfaces import DestinationUnavailableError, MessageRefusedError
from restante.fetch.journal_rows import MessageState
from restante.fetch.known_contents import KnownContents
from restante.fetch.large_headers import retrieve_headers
from restante.fetch.listing import list_messages
from restante.fetch.planner import MessageEntry, came_with_other_size, make_plan
from restante.fetch.retrieval import NOTHING_CAME, Receiver, retrieve_pieces
from restante.protocol.errors import ENDED, LOST, RemoteError, ServerRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from restante.client.blocking import Maildrop
    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.descriptions import Describer
    from restante.fetch.events import FetchEvent, RunSummary
    from restante.fetch.interfaces import Destination
    from restante.fetch.journal_rows import KnownMessage
    from restante.fetch.notices import Notices
    from restante.fetch.parked_messages import ParkedMessages
    from restante.fetch.planner import Plan, Policy
    from restante.fetch.precautions import Precautions
    from restante.fetch.retrieval import Retrieved


@dataclass(slots=True, kw_only=True, eq=False)
class FetchRun:
    """The state that the sessions of a run share."""

    journal: AccountJournal
    destinations: Mapping[str, Destination]  # by URL, those with the largest batches first
    policy: Policy
    clock: Callable[[], float]
    summary: RunSummary
    parked: ParkedMessages
    notices: Notices
    describer: Describer
    precautions: Precautions
    stopping: bool = False  # after the message under way


class FetchSession:
    """One session of a run, in an open maildrop.

    Attributes:
        under_way: the message at which the session broke, None if it was none.
    """

    def __init__(self, run: FetchRun, drop: Maildrop) -> None:
        self.under_way: MessageEntry | None = None
        self._run = run
        self._drop = drop
        self._journal, self._destinations = run.journal, run.destinations
        self._summary, self._parked = run.summary, run.parked
        self._delivered_before = run.summary.new
        self._now = run.clock()  # for the whole session: what becomes due later is not compared
        self._listed: Sequence[MessageEntry] = ()
        self._unproven: set[str] = set()  # those of messages that may be others than the known ones
        self._known = KnownContents(run.journal)
        self._describer = run.describer
        self._is_describing = False  # the server was asked for headers, and has not replied

    def run(self) -> Generator[FetchEvent, None, bool]:
        """Fetch and delete, and return whether there is more to fetch.

        Raises RemoteError: the session is over. Raises DestinationUnavailableError, FetchError.
        """
        summary, policy = self._summary, self._run.policy
        self._listed = list_messages(self._drop, self._journal)
        plan = self._make_compared_plan()
        summary.too_large = plan.too_large
        summary.waiting = [one for one in plan.waiting if one.uid not in self._parked]
        self._known.begin_session(self._listed, plan)
        to_fetch = [message for message in plan.fetch if message.uid not in self._parked]
        if policy.limit is not None:
            del to_fetch[max(0, policy.limit - summary.new) :]
        chosen = to_fetch if self._is_only_one() else first_messages(to_fetch)
        yield SessionPlanned(len(self._listed), len(to_fetch), sum(m.size for m in to_fetch))
        yield from self._fetch(chosen)
        yield from self._fetch_headers(plan.headers)
        self._describer.add_too_large(plan.new_too_large)
        self._is_describing = True
        self._describer.ask(self._drop, self._listed)
        self._is_describing = False
        if chosen and policy.keep_seconds is not None:
            plan = self._make_plan()
        self._note_short(plan.short)
        keep = self._unproven | self._find_mixed(plan)
        yield from self._delete([m for m in plan.delete if m.uid not in keep])
        more = len(chosen) < len(to_fetch)
        if not (more or policy.limit or self._run.stopping or summary.parked):
            self._journal.note_state(plan.gone, MessageState.GONE)  # else the rest may be they
        self._journal.note_state(plan.left, MessageState.LEFT)
        return more or (self._has_progressed and lists_a_part(self._drop.session))

    def is_only_over(self, error: RemoteError) -> bool:
        """Return whether the error that ended it says nothing of the message under way.

        Gmail ends a session with its access token, an hour or less after its beginning. Where a
        session delivered something, the message under way begins the next one. A header that a
        server fails at is not asked for again.
        """
        is_end = isinstance(error, ENDED) and self._has_progressed
        return self._is_describing or is_end

    @property
    def _has_progressed(self) -> bool:
        return self._summary.new > self._delivered_before

    def _is_only_one(self) -> bool:
        """Return whether the run has no other session after this one, unless it breaks."""
        session = self._drop.session
        return session.avoids_top or "LOGIN-DELAY" in (session.capabilities or {})

    def _make_compared_plan(self) -> Plan:
        """Return the plan, once doubtful messages are compared. Raises FetchError."""
        plan = self._make_plan()
        identity.check_moved(self._drop, self._listed, self._journal.rows, plan)
        if plan.doubtful or plan.to_verify:
            self._judge(plan)
            plan = self._make_plan()
        return plan

    def _make_plan(self) -> Plan:
        return make_plan(self._listed, self._journal, self._run.policy, self._now)

    def _judge(self, plan: Plan) -> None:
        """Note which messages are known under their unique-ids, and which ones are new."""
        unsure = plan.doubtful | plan.to_verify
        ids = self._journal.message_ids(message.uid for message in plan.to_verify)
        same, others = identity.compare_messages(self._drop, unsure, ids)
        exchanged = identity.find_exchanged(others, unsure)
        self._journal.rename((uid, message.uid) for message, uid in exchanged.items())
        same += exchanged
        self._journal.note_state((message.uid for message in same), MessageState.HERE)
        self._journal.note_sizes((message.uid, message.size) for message in same)
        self._journal.forget(message.uid for message in others if message not in exchanged)
        self._unproven = {message.uid for message in unsure.keys() - {*same, *others}}

    def _note_short(self, short: Mapping[MessageEntry, KnownMessage]) -> None:
        """Note that messages are not deleted, since they may not have come whole."""
        if short:
            message, row = next(iter(short.items()))
            came = f"{message.uid} came with {row.octets} octets, and LIST gave {row.size}"
            more = f"; {len(short) - 1} more like it" if len(short) > 1 else ""
            self._run.notices.add("fetch-short", f"{came}, so it was not deleted{more}")

    def _find_mixed(self, plan: Plan) -> set[str]:
        """Return the unique-ids of messages to delete that may have come as other ones."""
        if self._drop.session.avoids_top:
            return set()
        unsure = {m: row for m, row in plan.to_verify.items() if came_with_other_size(row)}
        ids = self._journal.message_ids(message.uid for message in unsure)
        return identity.find_mixed(self._drop, unsure, ids)

    def _fetch(self, messages: Sequence[MessageEntry]) -> Iterator[FetchEvent]:
        """Retrieve and deliver messages in groups."""
        size = min(destination.batch for destination in self._destinations.values())
        come = 0
        for some in split_into_groups(messages, size):
            if self._run.stopping:
                break
            with Group(self._destinations, self._journal) as group:
                try:
                    yield from self._retrieve(some, group)
                except (*BROKEN, DestinationUnavailableError):
                    yield from self._deliver(group)  # what came before the broken message
                    raise
                come += group.octets
                yield OctetsReceived(come)
                yield from self._deliver(group)

    def _fetch_headers(self, messages: Sequence[MessageEntry]) -> Iterator[FetchEvent]:
        """Deliver the headers of messages that are too large."""
        size = min(destination.batch for destination in self._destinations.values())
        for some in split_into_groups(messages, size):
            if self._run.stopping:
                break
            with Group(self._destinations, self._journal) as group:
                for header in retrieve_headers(self._drop, some, self._journal, self._destinations):
                    group.add(header)
                yield from self._deliver(group)

    def _retrieve(self, some: Sequence[MessageEntry], group: Group) -> Iterator[FetchEvent]:
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
                    yield self._parked.park(message, str(error))
                    self._parked.count_failure(FetchError("fetch-delivery", str(error)))
                except DestinationUnavailableError as error:
                    unavailable = error
                    break
            for number, piece in retrieve_pieces(
                self._drop,
                list(receivers),
                ahead=not self._run.precautions.inexact_sizes,
                is_stopping=lambda: self._run.stopping,
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
            self.under_way = next((receiver.message for receiver in receivers.values()), None)
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
            self._describer.add(message)
            return self._parked.park(message, str(end) if is_refused else NOTHING_CAME)
        retrieved = receiver.finish()
        if self._known.parts:
            self._known.skip_delivered(retrieved)
        if self._known.vanished and (before := self._known.take(retrieved, self._destinations)):
            text = f"{retrieved.message.uid} came before as {before}; it is not delivered again"
            self._run.notices.add("uids-changed", text)
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
            self._parked.count_failure(FetchError("fetch-delivery", retrieved.refused))

    def _park_refused(self, retrieved: Retrieved) -> MessageParked:
        parked = self._parked.park(retrieved.message, retrieved.refused)
        self._describer.note_header(retrieved.message.uid, retrieved.content.header)
        return parked

    def _count_delivered(self, retrieved: Retrieved) -> MessageDelivered:
        self._parked.count_delivery()
        self._summary.new += 1
        self._summary.octets += retrieved.content.octets
        return MessageDelivered(retrieved.message.uid, retrieved.content.octets, retrieved.seconds)

    def _delete(self, messages: Sequence[MessageEntry]) -> Iterator[FetchEvent]:
        """Mark messages and end the session by QUIT, which deletes them.

        What was asked for and not confirmed is asked for again by the next run.
        """
        refused = self._drop.delete_many([message.number for message in messages])
        if refused:
            first = next(message for message in messages if message.number in refused)
            rest = len(refused) - 1
            more = f"; {rest} more {'is' if rest == 1 else 'are'} rejected" if rest else ""
            self._run.notices.add("fetch-dele", f"{first.uid}: {refused[first.number]}{more}")
        marked = [message.uid for message in messages if message.number not in refused]
        unclear = {number for number, error in refused.items() if error.says_ok}  # they may go, too
        asked = [*marked, *(message.uid for message in messages if message.number in unclear)]
        if asked:
            self._journal.note_state(asked, MessageState.ASKED)
        try:
            self._drop.commit()
        except (*LOST, ServerRefusedError) as error:
            if asked:
                raise
            name = "quit-err" if isinstance(error, ServerRefusedError) else "quit-noreply"
            self._run.notices.add(name, f"{error.said}; no message was marked")
        if marked:
            self._journal.note_state(marked, MessageState.GONE)
            self._summary.deleted += len(marked)
            yield MessagesDeleted(tuple(marked))
