"""The check: it finds what does not agree, and repairs it without a loss."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster.bodies import new_name
from restante.storage.cluster.check import bodies as check_bodies
from restante.storage.cluster.check import boxes as check_boxes
from restante.storage.cluster.check import sizes as check_sizes
from restante.storage.cluster.check.checker import MailCheck
from restante.storage.cluster.check.problems import Problem
from restante.storage.cluster.startup import find_faults
from restante.storage.errors import StoreError
from storage.cluster.rig import LETTER, Rig, run
from support.kill_points import KillSwitch

ARRIVED = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)


async def check(rig: Rig, *, repair: bool = False, every_size: bool = True) -> list[Problem]:
    made = MailCheck(rig.database, rig.bodies, repair=repair, settled=-60)
    return [problem async for problem in made.run(every_size=every_size)]


async def kinds(rig: Rig, *, repair: bool = False) -> list[tuple[str, str, bool]]:
    found = await check(rig, repair=repair)
    return [(problem.kind, problem.owner, problem.repaired) for problem in found]


async def deliver_inside(rig: Rig, owner: str = "ann") -> None:
    await rig.sql("select deliver_one($1, $2, 21, 21, null, $3)", owner, new_name(), LETTER)


async def counters(rig: Rig) -> list[tuple[int, int]]:
    rows = await rig.sql("select messages, octets from box order by owner")
    return [(row["messages"], row["octets"]) for row in rows]


def test_mail_that_agrees_has_no_problem(dsn: Secret) -> None:
    """Messages inside and outside, and removed ones, agree."""

    async def test(rig: Rig) -> None:
        await deliver_inside(rig)
        await rig.deliver()
        await rig.remove(await rig.deliver())
        await rig.sql("update box set messages = 2, octets = 42")
        assert await check(rig, repair=True) == []
        assert await counters(rig) == [(2, 42)]

    run(dsn, test)


def test_an_empty_database_has_no_problem(dsn: Secret) -> None:
    """There is nothing to compare, with a place for bodies and without one."""

    async def test(rig: Rig) -> None:
        assert await check(rig) == []
        assert [each async for each in MailCheck(rig.database, None).run()] == []

    run(dsn, test)


def test_a_missing_body_is_found_and_kept(dsn: Secret) -> None:
    """A message without its body is reported with its owner, and never removed."""

    async def test(rig: Rig) -> None:
        name = await rig.deliver()
        await rig.bodies.delete([name])
        found = await check(rig, repair=True)
        assert [problem[:2] for problem in found] == [("body_missing", "ann")]
        assert name in found[0].text
        assert not found[0].repaired
        assert len(await rig.sql("select * from message")) == 1

    run(dsn, test)


def test_a_body_without_a_message_becomes_mail_again(dsn: Secret) -> None:
    """After a failover that lost a delivery, the body is found, and the repair indexes it."""

    async def test(rig: Rig) -> None:
        name = new_name()
        await rig.bodies.put(name, b"Subject: a\n\nhello", owner="ann", arrived=ARRIVED)
        assert await kinds(rig) == [("message_missing", "ann", False)]
        assert await rig.sql("select * from message") == []
        assert await kinds(rig, repair=True) == [("message_missing", "ann", True)]
        assert await check(rig) == []
        (row,) = await rig.sql("select * from message")
        assert (row["object"], row["octets"], row["stored"]) == (name, 21, 17)
        assert row["arrived"] == ARRIVED
        assert len(row["uid"]) == 24
        assert await counters(rig) == [(1, 21)]

    run(dsn, test)


def test_a_marked_body_becomes_mail_again(dsn: Secret) -> None:
    """A body that the sweep has marked, but no session removed, can still be indexed."""

    async def test(rig: Rig) -> None:
        await rig.put()
        await rig.sweep(-1)
        assert await kinds(rig, repair=True) == [("message_missing", "ann", True)]
        assert await rig.sql("select * from removed") == []
        assert (await rig.sweep(-1)).deleted == 0
        assert await check(rig) == []

    run(dsn, test)


def test_a_removed_body_never_comes_back(dsn: Secret) -> None:
    """A body that waits for the sweep after its removal is not mail."""

    async def test(rig: Rig) -> None:
        await rig.remove(await rig.deliver())
        await rig.sql("update box set messages = 0, octets = 0")
        assert await check(rig, repair=True) == []

    run(dsn, test)


def test_a_delivery_under_way_is_no_problem(dsn: Secret) -> None:
    """A body that is not 15 minutes old may still get its row."""

    async def test(rig: Rig) -> None:
        await rig.put()
        made = MailCheck(rig.database, rig.bodies, repair=True)
        assert [problem async for problem in made.run()] == []

    run(dsn, test)


def test_a_body_without_an_owner_is_reported(dsn: Secret) -> None:
    """A body that another program put there cannot be repaired."""

    async def test(rig: Rig) -> None:
        await rig.bodies.put(new_name(), LETTER, owner="")
        assert await kinds(rig, repair=True) == [("message_missing", "", False)]

    run(dsn, test)


def test_two_repairs_make_one_message(dsn: Secret) -> None:
    """Two repairs at once, at two nodes, index a body once."""

    async def test(rig: Rig) -> None:
        for _ in range(5):
            await rig.put()
        found = await asyncio.gather(*(check(rig, repair=True) for _ in range(3)))
        assert sum(problem.repaired for problems in found for problem in problems) == 5
        assert len(await rig.sql("select * from message")) == 5
        assert await check(rig) == []

    run(dsn, test)


def test_counters_are_counted_anew(dsn: Secret) -> None:
    """Counters that differ are reported, and the repair counts under the lock of the box."""

    async def test(rig: Rig) -> None:
        await deliver_inside(rig, "ann")
        await deliver_inside(rig, "bob")
        await rig.sql("update box set messages = 7, octets = 8 where owner = 'bob'")
        (problem,) = await check(rig)
        assert problem[:2] == ("counters", "bob")
        assert problem.text == "the box counts 7 messages and 8 octets, and has 1 and 21"
        before = await rig.sql("select generation from box where owner = 'bob'")
        assert await kinds(rig, repair=True) == [("counters", "bob", True)]
        assert await counters(rig) == [(1, 21), (1, 21)]
        assert before != await rig.sql("select generation from box where owner = 'bob'")

    run(dsn, test)


def test_bodies_inside_are_compared(dsn: Secret) -> None:
    """A message without its body inside is reported; a body without its message becomes mail."""

    async def test(rig: Rig) -> None:
        for owner in ("ann", "bob", "carl"):
            await deliver_inside(rig, owner)
        await rig.sql("delete from body using box where box = id and owner = 'ann'")
        await rig.sql("delete from message using box where box = id and owner = 'bob'")
        await rig.sql("update body set content = 'x' from box where box = id and owner = 'carl'")
        await rig.sql("update box set messages = 0, octets = 0 where owner = 'bob'")
        assert sorted(await kinds(rig, repair=True)) == [
            ("body_missing", "ann", False),
            ("message_missing", "bob", True),
            ("size", "carl", False),
        ]
        assert await counters(rig) == [(1, 21)] * 3
        await deliver_inside(rig, "bob")
        assert sorted(await kinds(rig)) == [("body_missing", "ann", False), ("size", "carl", False)]

    run(dsn, test)


def test_mail_of_no_box_is_reported(dsn: Secret) -> None:
    """Messages and bodies of a box that does not exist are reported, and left."""

    async def test(rig: Rig) -> None:
        await deliver_inside(rig)
        await deliver_inside(rig)
        await rig.sql("delete from box")
        await rig.sql("delete from message where number = 1")
        assert sorted(await kinds(rig, repair=True)) == [
            ("box_missing", "", False),
            ("message_missing", "", False),
        ]

    run(dsn, test)


def test_sizes_are_compared(dsn: Secret) -> None:
    """A wrong size on the wire is corrected with the counter; a body of another size is not."""

    async def test(rig: Rig) -> None:
        await deliver_inside(rig, "ann")
        await rig.deliver()
        await rig.sql("update message set octets = octets + 5")
        await rig.sql("update box set octets = octets + 10")
        assert await kinds(rig, repair=True) == [("size", "ann", True)] * 2
        assert await counters(rig) == [(2, 42)]
        assert await check(rig) == []
        await rig.sql("update message set stored = 20 where object is not null")
        assert await kinds(rig, repair=True) == [("size", "ann", False)]

    run(dsn, test)


def test_a_sample_reads_few_messages(dsn: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a request for all, a bounded number of messages is read."""
    monkeypatch.setattr(check_sizes, "SHARE", 1)
    monkeypatch.setattr(check_sizes, "MAX_SAMPLE", 3)

    async def test(rig: Rig) -> None:
        for _ in range(9):
            await deliver_inside(rig)
        await rig.sql("update message set octets = 20")
        await rig.sql("update box set octets = 180")
        assert len(await check(rig, every_size=False)) == 3
        assert len(await check(rig)) == 9

    run(dsn, test)


@pytest.mark.parametrize("page", [1, 2, 3, 100])
def test_a_check_goes_page_by_page(dsn: Secret, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """However the bodies and the boxes are divided, each problem is found once."""
    for module in (check_bodies, check_boxes, check_sizes):
        monkeypatch.setattr(module, "PAGE", page)

    async def test(rig: Rig) -> None:
        for owner in ("ann", "bob", "carl", "dora"):
            await deliver_inside(rig, owner)
        names = [await rig.deliver() for _ in range(5)]
        await rig.bodies.delete(names[:3])
        for _ in range(3):
            await rig.put()
        await rig.sql("update box set messages = 0")
        found = sorted(await kinds(rig))
        assert [kind for kind, _, _ in found] == [
            *["body_missing"] * 3, *["counters"] * 4, *["message_missing"] * 3
        ]  # fmt: skip

    run(dsn, test)


def test_progress_is_reported(dsn: Secret) -> None:
    """A check says how much of it is done."""
    seen: list[int] = []

    async def test(rig: Rig) -> None:
        await rig.deliver()
        made = MailCheck(rig.database, rig.bodies, on_progress=seen.append)
        assert [problem async for problem in made.run(every_size=True)] == []

    run(dsn, test)
    assert seen == [1, 2, 3]


def test_a_bucket_of_another_cluster_is_not_compared(dsn: Secret) -> None:
    """A bucket that belongs to another database is an error, and nothing is indexed."""

    async def test(rig: Rig) -> None:
        await rig.sweep()
        await rig.put()
        await rig.sql("update cluster set id = gen_random_uuid()")
        with pytest.raises(StoreError, match="belongs to another cluster"):
            await check(rig, repair=True)
        assert await rig.sql("select * from message") == []

    run(dsn, test)


def test_a_repair_can_be_killed_at_any_moment(dsn: Secret) -> None:
    """A repair that is killed at any message or call loses nothing, and the next one finishes."""

    async def prepare(rig: Rig) -> None:
        await rig.sql("truncate box, message, body, removed")
        await rig.bodies.delete(sorted(await rig.names()))
        await deliver_inside(rig)
        await rig.sql("delete from message")
        await rig.sql("update box set messages = 3, octets = 4")
        await rig.deliver()
        await rig.put()
        await rig.sql("update message set octets = 20")
        await rig.put()
        await rig.sweep(-1)

    async def test(rig: Rig) -> int:
        await prepare(rig)
        counter = KillSwitch()
        await counter.run(check(rig, repair=True))
        for at in range(1, counter.count + 1):
            await prepare(rig)
            await KillSwitch(at).run(check(rig, repair=True))
            await check(rig, repair=True)
            assert await check(rig) == []
            assert await counters(rig) == [(4, 84)]
        return counter.count

    assert run(dsn, test) > 20


def test_a_repair_beside_a_sweep_loses_nothing(dsn: Secret) -> None:
    """A body that the sweep deletes at this moment does not become a message without a body."""

    async def test(rig: Rig) -> None:
        name = await rig.put()
        await rig.sweep(-1)
        connection = await asyncpg.connect(dsn.reveal().decode())
        transaction = connection.transaction()
        await transaction.start()
        await connection.fetch("select * from removed for update")
        repair = asyncio.ensure_future(check(rig, repair=True))
        waiting = "wait_event_type = 'Lock' and datname = current_database()"
        for _ in range(3000):
            if await rig.sql(f"select from pg_stat_activity where {waiting}"):
                break
            await asyncio.sleep(0.01)
        await rig.bodies.delete([name])
        await connection.execute("update removed set deleted = now()")
        await transaction.commit()
        await connection.close()
        (problem,) = await repair
        assert "cannot be indexed" in problem.text
        assert await rig.sql("select * from message") == []

    run(dsn, test)


def test_a_box_that_is_moved_is_not_counted(dsn: Secret) -> None:
    """The counters of a hidden box are right at the end of its move, and not before."""

    async def test(rig: Rig) -> None:
        name = await rig.deliver()
        await rig.sql("update box set owner = hidden_owner(owner), messages = 0")
        assert await check(rig, repair=True) == []
        await rig.bodies.delete([name])
        assert await kinds(rig) == [("body_missing", "ann", False)]

    run(dsn, test)


def test_a_place_that_is_not_configured_is_reported(dsn: Secret) -> None:
    """Messages with bodies outside, and no object store in the configuration, are a problem."""

    async def test(rig: Rig) -> None:
        await rig.deliver()
        made = MailCheck(rig.database, None, repair=True)
        (problem,) = [each async for each in made.run()]
        assert (problem.kind, problem.repaired) == ("body_missing", False)
        assert "cluster.objects is not set" in problem.text
        assert "cluster.objects is not set" in (await find_faults(rig.database, None))[-1]

    run(dsn, test)
