"""Import into the cluster: what a client sees there, and what a killed run leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster import ClusterStore
from restante.storage.cluster.bodies import ObjectBodies
from restante.storage.cluster.database import Database
from restante.storage.cluster.transfer.import_target import ClusterImportTarget
from restante.storage.cluster.transfer.importing import MaildropImport
from restante.storage.cluster.transfer.transfer import Transfer, TransferCounts
from restante.storage.errors import StoreError
from restante.storage.interfaces import StoredMessage
from restante.storage.maildir import MaildirStore
from restante.storage.paths import Layout
from storage.contract import everything
from support.cluster import execute, settings
from support.kill_points import KilledError, KillPoint

ALL = "RESTANTE_CLUSTER_FAULTS" in os.environ
SMALL = b"Subject: small\n\nhello\n"
BIG = b"Subject: big\n\n" + b"0123456789abcde\n" * 4000


class Place:
    """A mail folder, and the cluster to which its mail goes."""

    def __init__(self, folder: Path, dsn: Secret) -> None:
        self.folder = folder
        self.dsn = dsn
        self.inline = 1_000_000
        (folder / "objects").mkdir()
        (folder / "mail").mkdir()

    def put(self, name: str, text: bytes = SMALL, owner: str = "ann") -> Path:
        for part in ("tmp", "new", "cur"):
            (self.folder / "mail" / owner / part).mkdir(parents=True, exist_ok=True)
        file = self.folder / "mail" / owner / "new" / name
        file.write_bytes(text)
        os.utime(file, (1, 1))
        return file

    async def use(self, work: Callable[[ClusterImportTarget], Awaitable[None]]) -> None:
        database = Database(self.dsn, connections=4)
        bodies = ObjectBodies(str(self.folder / "objects"), None)
        try:
            await work(ClusterImportTarget(database, bodies, self.inline))
        finally:
            await database.aclose()

    def run(self, *owners: str) -> TransferCounts:
        """Import, and return what was done."""
        problems: list[str] = []
        source = MaildirStore(Layout(self.folder / "mail"))
        counts: list[TransferCounts] = []

        async def work(target: ClusterImportTarget) -> None:
            task = Transfer(
                lambda owner: MaildropImport(source, target, owner, problems.append),
                problems.append,
            )
            await task.run(owners or ("ann",), 0)
            counts.append(task.counts)

        asyncio.run(self.use(work))
        assert problems == []
        return counts[0]

    def store(self) -> ClusterStore:
        return ClusterStore(settings(self.dsn, objects=str(self.folder / "objects")))

    def served(self, owner: str = "ann") -> dict[str, bytes]:
        """Return what a client finds in the cluster."""

        async def read() -> dict[str, bytes]:
            store = self.store()
            async with store.open():
                return await everything(store, owner)

        return asyncio.run(read())

    def uids(self, owner: str = "ann") -> tuple[str, ...]:
        """Return the unique-ids that a client finds, each of a message that can be read."""
        return tuple(self.served(owner))

    def deliver(self, text: bytes) -> str:
        async def deliver() -> str:
            store = self.store()
            async with store.open():
                return await store.deliver("ann", text)

        return asyncio.run(deliver())

    def remove(self, *indexes: int) -> None:
        """Remove messages as a client does."""

        async def remove() -> None:
            store = self.store()
            async with store.open():
                maildrop = await store.acquire("ann", 0)
                await maildrop.remove(indexes)
                maildrop.release()

        asyncio.run(remove())

    def query(self, sql: str) -> list[tuple[object, ...]]:
        return [tuple(row.values()) for row in asyncio.run(execute(self.dsn, sql))]

    def check(self) -> None:
        """The counters are right, each message has one body, and no body is without a message."""
        assert self.query(
            "select b.id from box b left join message m on m.box = b.id group by b.id"
            " having count(m.number) != b.messages or coalesce(sum(m.octets), 0) != b.octets"
        ) == []  # fmt: skip
        assert self.query(
            "select 1 from message m left join body b on b.box = m.box and b.number = m.number"
            " where (b.box is null) != (m.object is not null)"
        ) == []  # fmt: skip
        bodies = {file.name for file in (self.folder / "objects").rglob("*") if file.is_file()}
        known = {name for (name,) in self.query("select object from removed")}
        used = {
            name for (name,) in self.query("select object from message where object is not null")
        }
        assert used <= bodies <= used | known


@pytest.fixture
def place(tmp_path: Path, dsn: Secret) -> Place:
    return Place(tmp_path, dsn)


def test_order_unique_ids_and_sizes_stay(place: Place) -> None:
    """A client finds the same messages as in the Maildir."""
    texts = {"1000.a": SMALL, "1000.b": b"", "2000.c": BIG, "2000.d": b"no end"}
    for name in ("2000.d", "1000.b", "2000.c", "1000.a"):
        place.put(name, texts[name])
    counts = place.run()
    assert (counts.maildrops, counts.added, counts.present) == (1, 4, 0)
    assert list(place.served().items()) == list(texts.items())
    assert place.query("select extract(epoch from arrived)::int from message order by number") == [
        (1000,), (1000,), (2000,), (2000,)
    ]  # fmt: skip
    place.check()


def test_a_second_run_adds_nothing(place: Place) -> None:
    """An imported message is there once."""
    place.put("1000.a")
    place.put("2000.b", BIG)
    place.run()
    before = place.served()
    counts = place.run()
    assert (counts.added, counts.removed, counts.present) == (0, 0, 2)
    assert place.served() == before
    place.check()


def test_mail_that_the_cluster_got_stays_after(place: Place) -> None:
    """Old mail comes first, even if it is imported later than new mail is delivered."""
    place.put("1000.a")
    first = place.deliver(b"new mail\n")
    place.run()
    place.put("2000.b")
    second = place.deliver(b"more new mail\n")
    place.run()
    assert list(place.served()) == ["1000.a", "2000.b", first, second]
    place.check()


def test_a_removal_at_the_source_follows(place: Place) -> None:
    """A message that its owner removed between two runs is not in the cluster after the second."""
    place.inline = 1000
    file = place.put("1000.a", BIG)
    place.put("2000.b")
    place.run()
    file.unlink()
    counts = place.run()
    assert (counts.added, counts.removed, counts.present) == (0, 1, 1)
    assert place.uids() == ("2000.b",)
    place.check()


def test_a_removal_at_the_source_after_the_move(place: Place) -> None:
    """After a client opened the maildrop in the cluster, nothing goes because of the old place."""
    file = place.put("1000.a")
    place.run()
    before = place.served()
    file.unlink()
    place.put("2000.b")
    counts = place.run()
    assert (counts.added, counts.removed) == (1, 0)
    assert list(place.served()) == [*before, "2000.b"]
    place.check()


def test_a_maildrop_that_was_opened_before_its_import(place: Place) -> None:
    """The order of the first login and the first import does not matter."""
    assert place.served() == {}
    file = place.put("1000.a")
    place.run()
    file.unlink()
    assert place.run().removed == 0
    assert list(place.served()) == ["1000.a"]


def test_a_removal_in_the_cluster_stays(place: Place) -> None:
    """A message that a client removed in the cluster is not imported again."""
    place.inline = 1000
    place.put("1000.a")
    place.put("2000.b", BIG)
    place.run()
    place.remove(0, 1)
    assert place.run().added == 0
    assert place.served() == {}
    place.check()


def test_a_message_that_came_back(place: Place) -> None:
    """An owner may restore a message at the source before the move."""
    file = place.put("1000.a")
    place.run()
    file.unlink()
    place.run()
    place.put("1000.a")
    assert place.run().added == 1
    assert list(place.served()) == ["1000.a"]


def message(uid: str, content: bytes = SMALL, arrived: float = 1) -> StoredMessage:
    return StoredMessage(uid, content, len(content), arrived)


def test_a_call_that_is_repeated(place: Place) -> None:
    """A lost reply does not double a message: the call that is repeated leaves it out."""
    place.inline = 1000

    async def work(target: ClusterImportTarget) -> None:
        assert await target.add("ann", [message("a"), message("b", BIG)]) == 2
        assert await target.add("ann", [message("a"), message("b", BIG), message("c")]) == 1

    asyncio.run(place.use(work))
    assert place.uids() == ("a", "b", "c")
    place.check()


def test_a_body_that_the_sweep_has_deleted(place: Place) -> None:
    """An import that stood still between a body and its row adds no message without a body."""
    place.inline = 1000

    async def work(target: ClusterImportTarget) -> None:
        put = ObjectBodies.put

        async def stand_still(*args: object, **kwargs: object) -> None:
            await put(*args, **kwargs)  # type: ignore[arg-type]
            await execute(place.dsn, "delete from removed")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ObjectBodies, "put", stand_still)
            with pytest.raises(StoreError, match="the sweep has deleted"):
                await target.add("ann", [message("a"), message("b", BIG)])

    asyncio.run(place.use(work))
    assert place.served() == {}


def test_any_time_of_arrival(place: Place) -> None:
    """A name in a Maildir can give a time that no calendar has."""
    times = [-1e17, 0, 1e17]

    async def work(target: ClusterImportTarget) -> None:
        await target.add("ann", [message(str(time), arrived=time) for time in times])

    asyncio.run(place.use(work))
    assert list(place.served()) == [str(time) for time in times]


@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_is_killed_at_each_call(
    place: Place, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """The next run goes on: nothing is lost or doubled, and no body is without a message."""
    monkeypatch.setattr("restante.storage.cluster.transfer.importing.MAX_MESSAGES", 2)
    place.inline = 1000
    for step in range(1 if ALL else 1 + after, 50, 1 if ALL else 3):
        owner = f"user{step}"
        gone = place.put("0500.x", BIG, owner)
        place.put("1000.a", SMALL, owner)
        place.run(owner)
        gone.unlink()
        for name, text in {"2000.b": BIG, "2000.c": SMALL, "3000.d": BIG, "4000.e": b""}.items():
            place.put(name, text, owner)
        source = MaildirStore(Layout(place.folder / "mail"))

        async def work(target: ClusterImportTarget) -> None:
            task = MaildropImport(source, target, owner, print)  # noqa: B023
            with contextlib.suppress(KilledError):
                await task.run(0)

        point = KillPoint(step, after=after)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Database, "run", point.limit_async(Database.run))
            patch.setattr(ObjectBodies, "put", point.limit_async(ObjectBodies.put))
            asyncio.run(place.use(work))
        place.run(owner)
        assert place.uids(owner) == ("1000.a", "2000.b", "2000.c", "3000.d", "4000.e"), step
        if not point.killed:
            break
    else:
        pytest.fail("the run never came to its end")
    assert step > 8
    place.check()
