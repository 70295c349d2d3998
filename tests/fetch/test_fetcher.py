"""Runs of the fetcher: against a server in memory, into Maildirs and into doubles."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from restante import blocking, testing
from restante.client.blocking import Maildrop
from restante.fetch.destinations.maildir import MaildirDestination
from restante.fetch.errors import FetchError
from restante.fetch.events import (
    DoubtSettled,
    MessageDelivered,
    MessageParked,
    Notice,
    RunSummary,
)
from restante.fetch.fetcher import Fetcher
from restante.fetch.interfaces import (
    Content,
    DeliveryInDoubtError,
    Destination,
    DestinationUnavailableError,
    Draft,
    MessageRefusedError,
    NotDeliveredError,
    Settled,
    SourceMessage,
)
from restante.fetch.journal import Journal
from restante.fetch.journal_rows import MessageState
from restante.fetch.planner import MessageEntry, Policy
from restante.fetch.retrieval import Retrieved
from restante.misbehave import find
from restante.misbehave.changes import first_session
from restante.misbehave.driver import FaultyServer
from restante.protocol.errors import Phase, ServerRefusedError
from restante.testing import MemoryServer
from support.call_counter import IN_PYTHON, Calls
from support.faulty_server import HELLO, PASSWORD, SECOND, faulty_server
from support.small_disks import fill, small_disk

DELETE = Policy(keep_seconds=0)


@pytest.fixture(scope="module")
def server() -> Iterator[MemoryServer]:
    with testing.serving() as server:
        yield server


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "state" / "fetch.db") as journal:
        yield journal


def letters(*names: str) -> list[bytes]:
    return [f"Subject: {name}\nMessage-ID: <{name}@x>\n\nbody {name}\n".encode() for name in names]


class ListDraft:
    def __init__(self, source: SourceMessage) -> None:
        self.source, self.octets, self.discarded = source, b"", False

    def write(self, octets: bytes) -> None:
        self.octets += octets

    def finish(self, content: Content) -> None:
        assert content.octets == len(self.octets)

    def discard(self) -> None:
        self.discarded = True


class ListDestination:
    """Keeps messages in a list; `refuse` and `fail` raise for some of them."""

    batch = 4

    def __init__(self, url: str = "list:") -> None:
        self.url = url
        self.arrived: list[bytes] = []
        self.drafts: list[ListDraft] = []
        self.before_delivery: Callable[[bytes], None] = lambda _: None
        self.outcome = Settled.NOT_HERE

    def open(self) -> None:
        pass

    def start(self, message: SourceMessage) -> Draft:
        self.drafts.append(ListDraft(message))
        return self.drafts[-1]

    def prepare(self, drafts: Sequence[Draft]) -> list[str]:
        return ["token" for _ in drafts]

    def deliver(self, draft: Draft) -> None:
        assert isinstance(draft, ListDraft)
        self.before_delivery(draft.octets)
        self.arrived.append(draft.octets)

    def sync(self) -> None:
        pass

    def settle(self, token: str) -> Settled:
        assert token == "token"
        return self.outcome

    def close(self) -> None:
        pass


def connect_to(server: MemoryServer, user: str) -> Callable[[object], Maildrop]:
    url = f"pop3://{user}@{server.host}:{server.port}"
    return lambda _notice: blocking.connect(url, "secret")


def fetch(
    server: MemoryServer,
    journal: Journal,
    user: str,
    *destinations: Destination,
    policy: Policy = DELETE,
) -> RunSummary:
    fetcher = Fetcher(journal.open_account(user), destinations, connect_to(server, user), policy)
    for _ in fetcher.run():
        pass
    return fetcher.summary


def test_maildir(server: MemoryServer, journal: Journal, tmp_path: Path) -> None:
    """Messages arrive whole, once, and leave the server when they are delivered."""
    server.add("ann", "secret", *letters("a", "b"))
    for new in (2, 0):
        summary = fetch(server, journal, "ann", MaildirDestination(f"{tmp_path}/Mail"))
        assert summary.new == new
    arrived = sorted(file.read_bytes() for file in (tmp_path / "Mail" / "new").iterdir())
    assert arrived == sorted(letters("a", "b"))
    assert server.messages("ann") == []


def test_keep(server: MemoryServer, journal: Journal) -> None:
    """With keep for ever, nothing leaves the server, and nothing comes twice."""
    server.add("bob", "secret", *letters("a", "b"))
    destination = ListDestination()
    for _ in range(2):
        fetch(server, journal, "bob", destination, policy=Policy())
    assert len(destination.arrived) == len(server.messages("bob")) == 2


def test_recycled_unique_id(server: MemoryServer, journal: Journal) -> None:
    """A server gives a deleted message's unique-id to another one, which is fetched, not lost."""
    server.add("ada", "secret")
    destination = ListDestination()
    for letter in letters("a", "b"):
        server.deliver("ada", letter, uid="1-1")
        assert fetch(server, journal, "ada", destination).new == 1
    assert len(set(destination.arrived)) == 2
    assert server.messages("ada") == []


def test_a_message_whose_time_comes_during_the_run(server: MemoryServer, journal: Journal) -> None:
    """A known message is compared before it is deleted, also if its time came in this session."""
    [one, other], [new] = letters("a", "b"), letters("c")
    server.add("eve", "secret")
    server.deliver("eve", one, uid="1-1")
    destination, connect = ListDestination(), connect_to(server, "eve")
    assert fetch(server, journal, "eve", destination, policy=Policy()).new == 1
    with connect(None) as drop:
        drop.delete(1)
        drop.commit()
    for letter, uid in ((other, "1-1"), (new, "1-2")):
        server.deliver("eve", letter, uid=uid)
    times = iter([time.time() + 1])
    fetcher = Fetcher(
        journal.open_account("eve"), [destination], connect, Policy(keep_seconds=500),
        lambda: next(times, time.time() + 1000),
    )  # fmt: skip
    assert list(fetcher.run())
    assert len(destination.arrived) == 2
    assert server.messages("eve").count(other) == 1


def test_deleted_message_that_is_back(server: MemoryServer, journal: Journal) -> None:
    """A server lists a message again that it had deleted: it is deleted, and not fetched again."""
    server.add("ida", "secret")
    destination = ListDestination()
    for new in (1, 0):
        server.deliver("ida", letters("a")[0], uid="1-1")
        assert fetch(server, journal, "ida", destination).new == new
    assert len(destination.arrived) == 1
    assert server.messages("ida") == []


def test_marked_message_that_is_back(server: MemoryServer, journal: Journal) -> None:
    """A message that its user counted as fetched stays, also after the server did not list it."""
    server.add("deborah", "secret", *letters("a"))
    account = journal.open_account("deborah")
    with connect_to(server, "deborah")(None) as drop:
        listed = [(str(uid), None, None) for _, _, uid in drop.entries.rows()]
    assert account.note_known(listed, stay=True) == 1
    account.note_state([uid for uid, _, _ in listed], MessageState.GONE)
    assert fetch(server, journal, "deborah", ListDestination()).deleted == 0
    assert len(server.messages("deborah")) == 1


def test_many_sessions(server: MemoryServer, journal: Journal) -> None:
    """More messages than one session fetches all arrive, once."""
    server.add("max", "secret", *letters(*map(str, range(450))))
    destination = ListDestination()
    assert fetch(server, journal, "max", destination).new == 450
    assert len(set(destination.arrived)) == 450
    assert server.messages("max") == []


@pytest.mark.parametrize("limit", [None, 100])
def test_new_unique_ids_of_many(server: MemoryServer, journal: Journal, limit: int | None) -> None:
    """Messages with new unique-ids do not come twice, though one session has not all of them."""
    user = f"noa-{limit}"
    server.add(user, "secret")
    destination = ListDestination()
    all_letters = letters(*map(str, range(210)))
    for kind in "old", "new":
        server.account(user, "secret").clear()
        for number, letter in enumerate(all_letters):
            server.deliver(user, letter, uid=f"{kind if number else 'same'}-{number}")
        fetch(
            server,
            journal,
            user,
            destination,
            policy=Policy(limit=None if kind == "old" else limit),
        )
    fetch(server, journal, user, destination, policy=Policy())
    assert len(destination.arrived) == 210


def test_refused_message(server: MemoryServer, journal: Journal) -> None:
    """A message that the destination rejects is parked, stays, and does not stop the others."""
    server.add("cat", "secret", *letters("a", "b", "c"))
    destination = ListDestination()

    def refuse(octets: bytes) -> None:
        if b"body b" in octets:
            raise MessageRefusedError("552 too bad")

    destination.before_delivery = refuse
    summary = fetch(server, journal, "cat", destination)
    assert (summary.new, [parked.reason for parked in summary.parked]) == (2, ["552 too bad"])
    assert len(server.messages("cat")) == 1
    assert len(fetch(server, journal, "cat", destination).waiting) == 1


def test_unavailable_destination(server: MemoryServer, journal: Journal) -> None:
    """A destination that is down ends the run, and nothing is deleted."""
    server.add("dan", "secret", *letters("a", "b"))
    destination = ListDestination()

    def fail(_: bytes) -> None:
        raise DestinationUnavailableError("disk full")

    destination.before_delivery = fail
    with pytest.raises(FetchError, match="fetch-delivery: disk full"):
        fetch(server, journal, "dan", destination)
    assert len(server.messages("dan")) == 2


def test_certain_failure(server: MemoryServer, journal: Journal) -> None:
    """A message that was certainly not delivered leaves nothing to settle."""
    server.add("kim", "secret", *letters("a"))
    destination = ListDestination()
    destination.before_delivery = _raise(NotDeliveredError("450 later"))
    with pytest.raises(FetchError, match="450 later"):
        fetch(server, journal, "kim", destination)
    assert list(journal.open_account("kim").doubts()) == []
    destination.before_delivery = lambda _: None
    assert fetch(server, journal, "kim", destination).in_doubt == []
    assert len(destination.arrived) == 1


def _raise(error: BaseException) -> Callable[[bytes], None]:
    def deliver(_: bytes) -> None:
        raise error

    return deliver


class EmptiedMaildir(MaildirDestination):
    """A Maildir whose drafts another program removes before they are delivered."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._drafts_folder = path / "tmp"

    def prepare(self, drafts: Sequence[Draft]) -> list[str]:
        tokens = super().prepare(drafts)
        for file in self._drafts_folder.iterdir():
            file.unlink()
        return tokens


def test_drafts_that_another_program_removes(
    server: MemoryServer, journal: Journal, tmp_path: Path
) -> None:
    """Messages whose drafts vanish before the delivery are not lost: they are fetched again."""
    server.add("ned", "secret", *letters(*"abc"))
    with pytest.raises(FetchError, match="fetch-delivery"):
        fetch(server, journal, "ned", EmptiedMaildir(tmp_path / "Mail"))
    assert journal.open_account("ned").doubts() == []
    assert fetch(server, journal, "ned", MaildirDestination(f"{tmp_path}/Mail")).new == 3
    arrived = sorted(file.read_bytes() for file in (tmp_path / "Mail" / "new").iterdir())
    assert arrived == letters(*"abc")
    assert server.messages("ned") == []


def test_full_disk_of_the_journal(server: MemoryServer, tmp_path: Path) -> None:
    """If only the disk of the journal is full, no draft is left, and the next run fetches all."""
    server.add("jim", "secret", *letters("a", "b"))
    mail = tmp_path / "Mail"
    with small_disk(tmp_path / "disk") as disk, Journal(disk / "fetch.db") as journal:
        journal.open_account("jim")
        fill(disk)
        with pytest.raises(FetchError, match=r"journal-unusable: .* free some space"):
            fetch(server, journal, "jim", MaildirDestination(str(mail)))
        assert not [path for path in mail.rglob("*") if path.is_file()]
        (disk / "filler").unlink()
        assert fetch(server, journal, "jim", MaildirDestination(str(mail))).new == 2
    arrived = sorted(file.read_bytes() for file in (mail / "new").iterdir())
    assert arrived == sorted(letters("a", "b"))


def test_drafts_of_a_failed_preparation(
    server: MemoryServer, journal: Journal, tmp_path: Path
) -> None:
    """Where a second destination cannot prepare a message, the first one keeps no draft of it."""
    server.add("ole", "secret", *letters("a"))
    second = ListDestination()
    second.prepare = _raise(DestinationUnavailableError("locked"))  # type: ignore[assignment]
    with pytest.raises(FetchError, match="locked"):
        fetch(server, journal, "ole", MaildirDestination(f"{tmp_path}/Mail"), second)
    assert list((tmp_path / "Mail" / "tmp").iterdir()) == []


@pytest.mark.parametrize("error", [DestinationUnavailableError, MessageRefusedError])
def test_no_doubt_without_an_attempt(
    server: MemoryServer, journal: Journal, error: type[Exception]
) -> None:
    """Only a destination that was given a message can be in doubt."""
    user = f"pia-{error.__name__}"
    server.add(user, "secret", *letters("a", "b"))
    first, second = ListDestination("list:1"), ListDestination("list:2")
    first.before_delivery = _raise(error("down"))
    with contextlib.suppress(FetchError):
        fetch(server, journal, user, first, second)
    in_doubt = [doubt.destination for doubt in journal.open_account(user).doubts()]
    assert in_doubt == (["list:1"] if error is DestinationUnavailableError else [])
    assert second.arrived == []


@pytest.mark.parametrize(
    "error", [NotDeliveredError, DestinationUnavailableError, DeliveryInDoubtError]
)
def test_a_message_that_fails_again_and_again(
    server: MemoryServer, journal: Journal, error: type[Exception]
) -> None:
    """A message at which the destination always fails for now does not stop the others."""
    user = f"quy-{error.__name__}"
    server.add(user, "secret", *letters(*"abcd"))
    destination = ListDestination()

    def fail(octets: bytes) -> None:
        if b"body a" in octets:
            raise error("451 scanner failed")

    destination.before_delivery = fail
    for arrived in 0, 3:
        with pytest.raises(FetchError, match="451 scanner failed"):
            fetch(server, journal, user, destination)
        assert len(destination.arrived) == arrived
    assert len(fetch(server, journal, user, destination).waiting) == 1
    assert len(server.messages(user)) == 1
    journal.open_account(user).retry()
    destination.before_delivery = lambda _: None
    assert fetch(server, journal, user, destination).new == 1
    assert server.messages(user) == []


def test_a_message_in_doubt_again_and_again(server: MemoryServer, journal: Journal) -> None:
    """A message that may have been delivered is not sent again in each run without an end."""
    server.add("ray", "secret", *letters("a"))
    destination = ListDestination()
    destination.outcome = Settled.UNKNOWN
    tries: list[bytes] = []

    def fail(octets: bytes) -> None:
        tries.append(octets)
        raise DeliveryInDoubtError("no reply")

    destination.before_delivery = fail
    for _ in range(5):
        with contextlib.suppress(FetchError):
            fetch(server, journal, "ray", destination)
    assert len(tries) == 2


def test_an_outage_delays_no_message(server: MemoryServer, journal: Journal) -> None:
    """After failures of the destination for all messages, all come in the next run."""
    server.add("sid", "secret", *letters(*"ab"))
    destination = ListDestination()
    destination.before_delivery = _raise(NotDeliveredError("451 disk full"))
    for _ in range(5):
        with pytest.raises(FetchError, match="451 disk full"):
            fetch(server, journal, "sid", destination)
    destination.before_delivery = lambda _: None
    assert fetch(server, journal, "sid", destination).new == 2


class SmallDestination(ListDestination):
    """Accepts no octet of a large message for now."""

    def start(self, message: SourceMessage) -> Draft:
        if message.size > 500:
            raise DestinationUnavailableError("disk full")
        return super().start(message)


class FullDraft(ListDraft):
    def write(self, octets: bytes) -> None:
        super().write(octets)
        if len(self.octets) > 500:
            raise DestinationUnavailableError("disk full")


class FullDestination(ListDestination):
    """Accepts the first octets of a large message for now."""

    def start(self, message: SourceMessage) -> Draft:
        return FullDraft(message)


@pytest.mark.parametrize("kind", [SmallDestination, FullDestination])
def test_a_message_without_room(
    server: MemoryServer, journal: Journal, kind: type[ListDestination]
) -> None:
    """A message for which there is no room does not stop the smaller ones."""
    user = f"tom-{kind.__name__}"
    server.add(user, "secret", b"Subject: large\n\n" + b"x\n" * 500, *letters(*"ab"))
    destination = kind()
    for arrived in 0, 2:
        with pytest.raises(FetchError, match="disk full"):
            fetch(server, journal, user, destination)
        assert len(destination.arrived) == arrived
    fetch(server, journal, user, destination)
    assert len(server.messages(user)) == 1


def test_a_message_without_room_at_the_second(server: MemoryServer, journal: Journal) -> None:
    """Where a second destination has no room for a message, the first one discards its draft."""
    server.add("ike", "secret", b"Subject: large\n\n" + b"x\n" * 500)
    first = ListDestination("list:1")
    with pytest.raises(FetchError, match="disk full"):
        fetch(server, journal, "ike", first, SmallDestination("list:2"))
    assert [draft.discarded for draft in first.drafts] == [True]


def test_all_refused(server: MemoryServer, journal: Journal) -> None:
    """Where message after message is rejected, the destination is at fault, and the run ends."""
    server.add("eve", "secret", *letters(*"abcdef"))
    destination = ListDestination()

    def refuse(_: bytes) -> None:
        raise MessageRefusedError("550 no")

    destination.before_delivery = refuse
    with pytest.raises(FetchError, match="550 no"):
        fetch(server, journal, "eve", destination)


@pytest.mark.parametrize(("refused", "new", "parked"), [("abcg", 4, 4), ("defgh", 3, 3)])
def test_some_refused_in_one_group(
    server: MemoryServer, journal: Journal, refused: str, new: int, parked: int
) -> None:
    """All that arrived counts; several refusals in a row end the run only if nothing follows."""
    user = f"uma-{refused}"
    server.add(user, "secret", *letters(*"abcdefgh"))
    destination = ListDestination()
    destination.batch = 8

    def refuse(octets: bytes) -> None:
        if octets.strip()[-1:].decode() in refused:
            raise MessageRefusedError("550 no")

    destination.before_delivery = refuse
    fetcher = Fetcher(journal.open_account(user), [destination], connect_to(server, user), DELETE)
    counted = 0
    with pytest.raises(FetchError) if parked == 3 else contextlib.nullcontext():
        for event in fetcher.run():
            counted += isinstance(event, MessageDelivered)
    assert (fetcher.summary.new, counted, len(destination.arrived)) == (new, new, new)
    assert len(fetcher.summary.parked) == parked


def test_two_destinations(server: MemoryServer, journal: Journal) -> None:
    """A message is deleted only if both have it, and the first one does not get it again."""
    server.add("fay", "secret", *letters("a"))
    first, second = ListDestination("list:1"), ListDestination("list:2")

    def fail(_: bytes) -> None:
        raise DestinationUnavailableError("down")

    second.before_delivery = fail
    with pytest.raises(FetchError):
        fetch(server, journal, "fay", first, second)
    assert len(server.messages("fay")) == 1
    second.before_delivery = lambda _: None
    fetch(server, journal, "fay", first, second)
    assert (len(first.arrived), len(second.arrived)) == (1, 1)
    assert server.messages("fay") == []


def deliver_to_the_first(
    server: MemoryServer, journal: Journal, user: str
) -> tuple[ListDestination, ListDestination]:
    """Deliver all mail of a user to the first one of two destinations; the second one is down."""
    first, second = ListDestination("list:1"), ListDestination("list:2")

    def fail(_: bytes) -> None:
        raise DestinationUnavailableError("down")

    second.before_delivery = fail
    with pytest.raises(FetchError):
        fetch(server, journal, user, first, second)
    second.before_delivery = lambda _: None
    return first, second


def test_another_message_for_the_second_destination(server: MemoryServer, journal: Journal) -> None:
    """If a unique-id has another message in the next session, both destinations get that one."""
    one, other = letters("a", "b")
    server.add("gil", "secret")
    server.deliver("gil", one, uid="1-1")
    first, second = deliver_to_the_first(server, journal, "gil")
    server.add("gil", "secret")
    server.account("gil", "secret").clear()
    server.deliver("gil", other, uid="1-1")
    fetch(server, journal, "gil", first, second)
    assert [len(set(first.arrived)), len(second.arrived)] == [2, 1]
    assert server.messages("gil") == []


def test_another_unique_id_for_the_second_destination(
    server: MemoryServer, journal: Journal
) -> None:
    """If a message has another unique-id in the next session, the first one gets it once."""
    server.add("hub", "secret")
    twins = letters("a", "a")
    for number, letter in enumerate(twins):
        server.deliver("hub", letter, uid=f"old-{number}")
    first, second = deliver_to_the_first(server, journal, "hub")
    server.account("hub", "secret").clear()
    for number, letter in enumerate(twins):
        server.deliver("hub", letter, uid=f"new-{number}")
    assert fetch(server, journal, "hub", first, second).new == 2
    assert [len(first.arrived), len(second.arrived)] == [2, 2]
    assert server.messages("hub") == []


def test_second_destination_is_given_up(server: MemoryServer, journal: Journal) -> None:
    """If a destination that failed is not named any more, the message counts as fetched, once."""
    server.add("ivo", "secret", *letters("a"))
    first, _ = deliver_to_the_first(server, journal, "ivo")
    counts = [fetch(server, journal, "ivo", first, policy=Policy()).new for _ in range(2)]
    assert (counts, len(first.arrived)) == ([1, 0], 1)
    fetch(server, journal, "ivo", first)
    assert server.messages("ivo") == []


@pytest.mark.parametrize(
    ("outcome", "again"), [(Settled.HERE, 0), (Settled.NOT_HERE, 1), (Settled.UNKNOWN, 1)]
)
def test_doubt(server: MemoryServer, journal: Journal, outcome: Settled, again: int) -> None:
    """After a crash the destination decides whether a message is retrieved again."""
    user = f"gus-{outcome.name}"
    server.add(user, "secret", *letters("a"))
    destination = ListDestination()

    def crash(_: bytes) -> None:
        raise KeyboardInterrupt

    destination.before_delivery = crash
    with pytest.raises(KeyboardInterrupt):
        fetch(server, journal, user, destination)
    rows = journal.open_account(user).messages().values()
    assert [row.state for row in rows] == [MessageState.PREPARED]
    destination.before_delivery, destination.outcome = lambda _: None, outcome
    fetcher = Fetcher(journal.open_account(user), [destination], connect_to(server, user), DELETE)
    events = list(fetcher.run())
    assert [event.outcome for event in events if isinstance(event, DoubtSettled)] == [outcome]
    assert len([event for event in events if isinstance(event, MessageDelivered)]) == again
    assert bool(fetcher.summary.in_doubt) == (outcome is Settled.UNKNOWN)
    assert server.messages(user) == []


class HeldDestination(ListDestination):
    """Parks a message in doubt."""

    def settle(self, token: str) -> Settled:
        raise MessageRefusedError("it may be here")


@pytest.mark.parametrize("kind", [ListDestination, HeldDestination])
def test_sizes_of_settled_messages(
    server: MemoryServer, journal: Journal, kind: type[ListDestination]
) -> None:
    """A message that is settled counts with its octets, whether it is delivered or parked."""
    user = f"vic-{kind.__name__}"
    server.add(user, "secret", *letters("a"))
    destination = kind()
    destination.before_delivery, destination.outcome = _raise(KeyboardInterrupt()), Settled.HERE
    with pytest.raises(KeyboardInterrupt):
        fetch(server, journal, user, destination)
    summary = fetch(server, journal, user, destination)
    octets = summary.octets + sum(parked.size for parked in summary.parked)
    assert octets == len(letters("a")[0].replace(b"\n", b"\r\n"))


def test_a_message_that_is_held(server: MemoryServer, tmp_path: Path) -> None:
    """A message that may be delivered already is not tried again until its user asks for that."""
    server.add("hal", "secret", *letters("a"))
    now, path = [0.0], tmp_path / "fetch.db"

    def run(destination: ListDestination, *, shown: bool = True, retry: bool = False) -> int:
        with Journal(path, clock=lambda: now[0]) as journal:
            account = journal.open_account("hal")
            if retry:
                account.retry()
            connect = connect_to(server, "hal" if shown else "hal-empty")
            fetcher = Fetcher(account, [destination], connect, DELETE, lambda: now[0])
            assert list(fetcher.run())
            account.end_run("ok")
            held = [message.uid for message in account.undelivered_messages()]
        return len(held)

    server.add("hal-empty", "secret")
    crashing, destination = HeldDestination(), HeldDestination()
    crashing.before_delivery = _raise(KeyboardInterrupt())
    now[0] = 2e9
    with pytest.raises(KeyboardInterrupt):
        run(crashing)
    for now[0] in (2e9, 2.1e9, 1e9, 1.1e9):  # a clock that is years ahead, and is set right
        assert run(destination) == 1
    assert run(destination, shown=False) == 1
    assert run(destination) == 1
    assert (destination.arrived, len(server.messages("hal"))) == ([], 1)
    assert run(destination, retry=True) == 0
    assert len(destination.arrived) == 1
    assert server.messages("hal") == []


def test_warnings_of_a_run_that_fails(server: MemoryServer, journal: Journal) -> None:
    """A destination that fails hides no warning about the server."""
    server.add("wes", "secret", *letters("a"))
    destination = ListDestination()
    destination.before_delivery = _raise(NotDeliveredError("disk full"))

    def connect(notice: Callable[[str, str], None]) -> Maildrop:
        notice("pipelining", "replies are late")
        return connect_to(server, "wes")(notice)

    events = []
    with pytest.raises(FetchError, match="disk full"):
        for event in Fetcher(journal.open_account("wes"), [destination], connect, DELETE).run():
            events.append(event)  # noqa: PERF402  # those before the failure
    assert Notice("pipelining", "replies are late") in events


class ForgetfulDestination(ListDestination):
    """Does not understand its tokens any more."""

    def settle(self, token: str) -> Settled:
        raise ValueError(token)


def test_a_token_that_is_not_understood(server: MemoryServer, journal: Journal) -> None:
    """A token of rules that were removed since leaves a doubt, and the run goes on."""
    server.add("gil", "secret", *letters("a"))
    destination = ForgetfulDestination()
    destination.before_delivery = _raise(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        fetch(server, journal, "gil", destination)
    destination.before_delivery = lambda _: None
    fetcher = Fetcher(journal.open_account("gil"), [destination], connect_to(server, "gil"), DELETE)
    outcomes = [event.outcome for event in fetcher.run() if isinstance(event, DoubtSettled)]
    assert (outcomes, len(destination.arrived)) == ([Settled.UNKNOWN], 1)


def test_stop(server: MemoryServer, journal: Journal) -> None:
    """A run that is stopped ends after the message under way, and the next one goes on."""
    server.add("hal", "secret", *letters(*"abcdefgh"))
    destination = ListDestination()
    fetcher = Fetcher(journal.open_account("hal"), [destination], connect_to(server, "hal"), DELETE)
    for event in fetcher.run():
        if isinstance(event, MessageDelivered):
            fetcher.stop()
    assert 0 < len(destination.arrived) < 8
    fetch(server, journal, "hal", destination)
    assert len(set(destination.arrived)) == len(destination.arrived) == 8


def test_stop_within_headers(server: MemoryServer, journal: Journal) -> None:
    """A run that is stopped delivers no more headers of large messages; the next one does."""
    server.add("ivy", "secret", *letters(*"abcdefgh"))
    destination = ListDestination()
    destination.batch = 1
    policy = Policy(max_size=1, large_headers=True)
    account, connect = journal.open_account("ivy"), connect_to(server, "ivy")
    fetcher = Fetcher(account, [destination], connect, policy)
    for event in fetcher.run():
        if isinstance(event, MessageDelivered):
            fetcher.stop()
    assert len(destination.arrived) == 1
    fetch(server, journal, "ivy", destination, policy=policy)
    assert len(destination.arrived) == 8


def test_destination_that_left(server: MemoryServer, journal: Journal) -> None:
    """A delivery in doubt at a destination that is not named any more is reported, and goes on."""
    server.add("ida", "secret", *letters("a"))
    first = ListDestination("list:old")

    def crash(_: bytes) -> None:
        raise KeyboardInterrupt

    first.before_delivery = crash
    with pytest.raises(KeyboardInterrupt):
        fetch(server, journal, "ida", first)
    second = ListDestination("list:new")
    fetcher = Fetcher(journal.open_account("ida"), [second], connect_to(server, "ida"), DELETE)
    outcomes = [event.outcome for event in fetcher.run() if isinstance(event, DoubtSettled)]
    assert (outcomes, len(second.arrived)) == ([Settled.UNKNOWN], 1)


def test_refused_deletion(journal: Journal) -> None:
    """A server that rejects DELE keeps the message, which is reported once (fetch-dele)."""
    destination = ListDestination()
    with faulty_server("dele-refused") as odd:

        def connect(notice: Callable[[str, str], None]) -> Maildrop:
            return blocking.connect(odd.url, PASSWORD, notice=notice)

        fetcher = Fetcher(journal.open_account("odd"), [destination], connect, DELETE)
        notices = dict(event for event in fetcher.run() if isinstance(event, Notice))
    assert len(destination.arrived) == 2
    assert notices["fetch-dele"].endswith("; 1 more is rejected")
    assert fetcher.summary.deleted == 0


def test_refused_message_is_an_event(journal: Journal) -> None:
    """A message that the server refuses is an event of the run, with the server's words."""
    with faulty_server("RETR 1: -ERR broken") as odd:

        def connect(_: Callable[[str, str], None]) -> Maildrop:
            return blocking.connect(odd.url, PASSWORD)

        fetcher = Fetcher(journal.open_account("odd"), [ListDestination()], connect, Policy())
        parked = [event for event in fetcher.run() if isinstance(event, MessageParked)]
    assert [("broken" in event.reason) for event in parked] == [True]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Subject: a\r\nMessage-ID: <a@x>\r\nDate: b\r\n\r\n", "<a@x>"),
        ("MESSAGE-id :\r\n <a@x>\r\n\r\n", "<a@x>"),
        ("X: Message-ID: <a@x>\r\n\r\n", ""),
        ("Message-ID: " + 600 * "a", 499 * "a"),
    ],
)
def test_message_id(header: str, expected: str) -> None:
    """The journal has the Message-ID of a message, as long as it is not overlong."""
    content = Content(9, "s", header.encode())
    made = Retrieved(MessageEntry(1, "u", 9), content, {})
    assert made.preparation.message_id == expected


def fetch_from(odd: FaultyServer, journal: Journal, destination: ListDestination) -> Fetcher:
    """Return a fetcher after a run at a server that misbehaves."""

    def connect(_: Callable[[str, str], None]) -> Maildrop:
        return blocking.connect(odd.url, PASSWORD)

    fetcher = Fetcher(journal.open_account("odd"), [destination], connect, Policy())
    list(fetcher.run())
    return fetcher


def test_session_that_ends_in_the_middle(journal: Journal) -> None:
    """A session that a server ends after an hour, as Gmail does, goes on in a new one."""
    destination = ListDestination()
    with faulty_server(first_session(find("retr-cut-2").conversation)) as odd:
        fetcher = fetch_from(odd, journal, destination)
        asked = [line for line in odd.commands if line.startswith(("USER", "RETR"))]
    assert asked == ["USER ann", "RETR 1", "RETR 2", "USER ann", "RETR 2"]
    assert (destination.arrived, fetcher.parked.failure) == ([HELLO, SECOND], None)
    assert fetcher.summary.parked == []


def test_message_parked_in_this_run(journal: Journal) -> None:
    """A message that breaks its session is counted once: it was not parked before this run."""
    destination = ListDestination()
    with faulty_server(first_session(find("retr-no-status").conversation)) as odd:
        summary = fetch_from(odd, journal, destination).summary
    assert (destination.arrived, len(summary.parked), summary.waiting) == ([SECOND], 1, [])


def test_a_server_that_hides_what_was_fetched(server: MemoryServer, journal: Journal) -> None:
    """New mail is fetched although the server lists none of the known messages, as Gmail does."""
    destination = ListDestination()
    server.misbehave("fetched-is-hidden")
    for names in ("abc", "defg"):
        server.add("max", "secret", *letters(*names))
        assert fetch(server, journal, "max", destination, policy=Policy()).new == len(names)
    server.behave()
    server.add("max", "secret", *letters("a", "d", "g"))  # with other unique-ids
    with pytest.raises(FetchError, match="uids-changed"):
        fetch(server, journal, "max", destination, policy=Policy())
    assert len(destination.arrived) == 7


def parts_of(
    server: MemoryServer, parts: list[list[bytes]]
) -> Callable[[Callable[[str, str], None]], Maildrop]:
    """Return what connects to a server that lists the next part in each session, as Gmail does."""

    def connect(_: Callable[[str, str], None]) -> Maildrop:
        if not parts:
            raise ServerRefusedError("login-delay", "too soon", phase=Phase.LOGIN)
        server.add("gil", "secret", *parts.pop(0))
        drop = blocking.connect(f"pop3://gil@{server.host}:{server.port}", "secret")
        drop.session.capabilities = {**(drop.session.capabilities or {}), "X-GOOGLE-RICO": ""}
        return drop

    return connect


def test_a_server_that_lists_a_part(server: MemoryServer, journal: Journal) -> None:
    """At Gmail, sessions follow until nothing new comes."""
    destination = ListDestination()
    parts = [letters(*"abc"), letters(*"defg"), [], letters("h")]
    server.misbehave("fetched-is-hidden")
    fetcher = Fetcher(journal.open_account("gil"), [destination], parts_of(server, parts), Policy())
    list(fetcher.run())
    server.behave()
    assert (fetcher.summary.new, len(parts)) == (7, 1)


def test_login_delay_between_sessions(server: MemoryServer, journal: Journal) -> None:
    """Where the server rejects the next session as too soon, the run ends well, with a warning."""
    connect = parts_of(server, [letters("z")])
    fetcher = Fetcher(journal.open_account("gil"), [ListDestination()], connect, Policy())
    notices = [event.id for event in fetcher.run() if isinstance(event, Notice)]
    assert (fetcher.summary.new, notices) == (1, ["login-delay"])
    with pytest.raises(ServerRefusedError):
        list(Fetcher(journal.open_account("gil"), [ListDestination()], connect, Policy()).run())


def test_description_of_what_stays(server: MemoryServer, journal: Journal) -> None:
    """The journal has sender and subject of large and of rejected messages, while they stay."""
    large = b"From: Bob <bob@x>\nSubject: =?utf-8?q?B=C3=BCcher?=\n\n" + b"x\n" * 500
    server.add("lea", "secret", large, *letters("a"))
    destination = ListDestination()
    destination.before_delivery = _raise(MessageRefusedError("552 no"))
    fetch(server, journal, "lea", destination, policy=Policy(max_size=500))
    account = journal.open_account("lea")
    found = {(row.state, row.sender, row.subject) for row in account.undelivered_messages()}
    assert found == {("parked", "", "a"), ("too_large", "Bob", "Bücher")}
    account.retry()
    destination.before_delivery = lambda _: None
    fetch(server, journal, "lea", destination)
    assert account.undelivered_messages() == []


def test_description_after_a_session_that_ends(journal: Journal) -> None:
    """The header of a rejected message is asked for in the next session, if its own one ends."""
    rejected, cut = (
        first_session(find(rule).conversation) for rule in ("RETR#1: -ERR no", "RETR#2: close")
    )
    destination = ListDestination()
    with faulty_server(rejected, cut, messages=letters("a", "b", "c")) as odd:
        fetch_from(odd, journal, destination)
    [row] = journal.open_account("odd").undelivered_messages()
    assert (row.subject, len(destination.arrived)) == ("a", 2)


def test_server_that_fails_at_top(journal: Journal) -> None:
    """A server that hangs up at TOP is asked once, and the rest of the run goes on."""
    destination = ListDestination()
    with faulty_server("TOP: close") as odd:
        for _ in range(2):
            fetcher = Fetcher(
                journal.open_account("odd"),
                [destination],
                lambda _: blocking.connect(odd.url, PASSWORD),
                Policy(max_size=len(SECOND)),
            )
            list(fetcher.run())
        asked = [line for line in odd.commands if line.startswith("TOP")]
    assert (destination.arrived, len(asked)) == ([SECOND], 1)


def test_header_of_a_large_message(server: MemoryServer, journal: Journal) -> None:
    """The header of a large message arrives once; the message stays, and can come whole later."""
    large = b"Subject: Photos\nMessage-ID: <a@x>\nContent-Type: image/png\n\n" + b"x\n" * 500
    server.add("mia", "secret", large)
    destination = ListDestination()
    policy = Policy(max_size=500, large_headers=True, keep_seconds=0)
    for _ in range(2):
        fetch(server, journal, "mia", destination, policy=policy)
    [arrived] = destination.arrived
    header, _, note = arrived.partition(b"\r\n\r\n")
    assert b"Subject: Photos" in header
    assert b"<a@x>" not in header
    assert b"image/png" not in header
    assert b"only the header of a message of 1" in note
    assert len(server.messages("mia")) == 1
    fetch(server, journal, "mia", destination)
    assert (len(destination.arrived), server.messages("mia")) == (2, [])


def test_header_of_a_message_without_room(server: MemoryServer, journal: Journal) -> None:
    """The header of a message that is larger than the free disk needs room for itself only."""
    server.add("una", "secret", b"Subject: large\n\n" + b"x\n" * 500)
    destination = SmallDestination()
    policy = Policy(max_size=500, large_headers=True)
    fetch(server, journal, "una", destination, policy=policy)
    assert len(destination.arrived) == 1


def test_headers_that_are_refused(journal: Journal) -> None:
    """A large message whose header the server refuses is left out, and the others arrive."""
    destination = ListDestination()
    policy = Policy(max_size=1, large_headers=True)
    with faulty_server("TOP#1: -ERR no", messages=letters("a", "b")) as odd:
        fetcher = Fetcher(
            journal.open_account("odd"),
            [destination],
            lambda _: blocking.connect(odd.url, PASSWORD),
            policy,
        )
        list(fetcher.run())
    [arrived] = destination.arrived
    assert b"Subject: b" in arrived


def test_each_message_takes_few_calls(
    server: MemoryServer, journal: Journal, tmp_path: Path
) -> None:
    """A message more makes few calls of Restante's functions in the thread that retrieves."""
    counted = []
    for user, messages in (("few", 50), ("many", 150)):
        server.add(user, "secret", *letters(*map(str, range(messages))))
        calls = Calls()
        sys.setprofile(calls.note)
        try:
            fetch(server, journal, user, MaildirDestination(str(tmp_path / user)))
        finally:
            sys.setprofile(None)
        counted.append(calls.functions.total())
    # 125 to 127 calls: the pieces in which the octets arrive vary.
    assert counted[1] - counted[0] <= 100 * (132 if IN_PYTHON else 129)
