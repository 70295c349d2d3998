"""The sweep: a body goes a grace after its message, and a body of a message never goes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster import sweep
from restante.storage.cluster.bodies import BodyEntry
from restante.storage.cluster.sweep import Sweep, Swept
from restante.storage.errors import StoreError
from storage.cluster.rig import DAY, LETTER, Rig, run
from support.kill_points import KillSwitch


def test_a_removed_body_goes_after_its_grace(dsn: Secret) -> None:
    """A removed message's body stays for the grace, then goes, and others stay."""

    async def test(rig: Rig) -> None:
        kept, removed = await rig.deliver(), await rig.deliver()
        await rig.remove(removed)
        await rig.age(29.9)
        assert await rig.sweep() == Swept(deleted=0, listed=2, marked=0, waiting=1)
        await rig.age(0.2)
        assert await rig.sweep() == Swept(deleted=1, listed=1, marked=0, waiting=0)
        assert await rig.names() == {kept}
        assert await rig.sql("select * from removed") == []

    run(dsn, test)


def test_a_body_without_a_row_goes_in_two_passes(dsn: Secret) -> None:
    """A body that no row names is marked, and deleted a grace later, when others have a row."""

    async def test(rig: Rig) -> None:
        await rig.put()
        assert await rig.sweep() == Swept(0, 1, 0, 0)  # it is not a grace old
        assert await rig.sweep(-1) == Swept(0, 1, 1, 1)
        await rig.age(29)
        assert (await rig.sweep()).deleted == 0
        await rig.age(2)
        assert await rig.sweep() == Swept(1, 0, 0, 0)
        assert await rig.names() == set()

    run(dsn, test)


@pytest.mark.parametrize("sweeps", [1, 2, 3])
def test_a_delivery_that_stood_still_is_refused(dsn: Secret, sweeps: int) -> None:
    """A delivery that comes after the mark is refused, even after the body is gone."""

    async def test(rig: Rig) -> None:
        name = await rig.put()
        for _ in range(sweeps):
            await rig.sweep(-1)
        with pytest.raises(StoreError, match="marked"):
            await rig.insert(name)
        assert await rig.sql("select * from message") == []

    run(dsn, test)


def test_a_body_whose_row_came_is_kept(dsn: Secret) -> None:
    """A body that was marked beside the insert of its row is not deleted, and can be removed."""

    async def test(rig: Rig) -> None:
        name = await rig.deliver()
        await rig.sql("insert into removed (object, marked) values ($1, now())", name)
        await rig.sweep(-1)
        assert await rig.sweep(-1) == Swept(0, 1, 0, 0)
        assert await rig.names() == {name}
        await rig.remove(name)
        assert (await rig.sweep(-1)).deleted == 1

    run(dsn, test)


def test_a_delivery_that_waits_for_its_commit_keeps_its_body(dsn: Secret) -> None:
    """As long as a transaction may not have seen the mark, the body is not deleted."""

    async def test(rig: Rig) -> None:
        name = await rig.put()
        connection = await asyncpg.connect(dsn.reveal().decode())
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("select deliver_one('ann', $1, 21, 21, $1, null)", name)
        for _ in range(4):
            swept = await rig.sweep(-1, settle=False)
            assert (swept.deleted, swept.waiting) == (0, 1)
        await transaction.commit()
        await connection.close()
        assert await rig.sweep(-1) == Swept(0, 1, 0, 0)
        assert await rig.names() == {name}

    run(dsn, test)


def test_a_body_that_comes_back_goes_again(dsn: Secret) -> None:
    """A request to put that arrives late, after the deletion, is swept like any other."""

    async def test(rig: Rig) -> None:
        name = await rig.put()
        for _ in range(3):
            await rig.sweep(-1)
        assert await rig.names() == set()
        await rig.bodies.put(name, LETTER, owner="ann")
        for _ in range(3):
            await rig.sweep(-1)
        assert await rig.names() == set()

    run(dsn, test)


def test_marks_are_forgotten_after_a_year(dsn: Secret) -> None:
    """The mark of a deleted body stays for a year."""

    async def test(rig: Rig) -> None:
        await rig.put()
        for _ in range(3):
            await rig.sweep(-1)
        await rig.age(365)
        await rig.sweep()
        assert len(await rig.sql("select * from removed")) == 1
        await rig.age(2)
        await rig.sweep()
        assert await rig.sql("select * from removed") == []

    run(dsn, test)


def test_a_fence_of_another_server_is_set_anew(dsn: Secret) -> None:
    """After a restore, transactions may have smaller numbers than the fences."""

    async def test(rig: Rig) -> None:
        await rig.put()
        await rig.sweep(-1)
        await rig.sql("update removed set fence = '999999999999'")
        await rig.sweep(-1)
        assert (await rig.sweep(-1)).deleted == 1

    run(dsn, test)


def test_a_listing_goes_on_where_it_ended(dsn: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep lists a bounded number of bodies, and the next one goes on."""
    monkeypatch.setattr(sweep, "BATCH", 2)
    monkeypatch.setattr(sweep, "DELETE_TIME", 0)

    async def test(rig: Rig) -> None:
        names = {await rig.put() for _ in range(9)}
        one = Sweep(rig.database, rig.bodies, -DAY)
        found = [await one.run(4) for _ in range(3)]
        assert [each.listed for each in found] == [4, 4, 1]
        assert sum(each.marked for each in found) == 9
        deleted = [await one.run(4) for _ in range(4)]
        assert all(each.deleted <= 2 for each in deleted)
        assert sum(each.deleted for each in [*found, *deleted]) == len(names)

    run(dsn, test)


def test_sweep_that_ends_early(dsn: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that stops ends a sweep after the step under way, and has its counts."""
    monkeypatch.setattr(sweep, "BATCH", 2)

    async def test(rig: Rig) -> None:
        for name in [await rig.deliver() for _ in range(6)]:
            await rig.remove(name)
        one = Sweep(rig.database, rig.bodies, -DAY)
        assert await one.run(goes_on=lambda: False) == Swept(2, 0, 0, 4)
        assert (await one.run()).deleted == 4

    run(dsn, test)


def test_several_nodes_can_sweep_at_once(dsn: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four sweeps at once delete every body without a row, and keep what has one."""
    monkeypatch.setattr(sweep, "BATCH", 5)

    async def test(rig: Rig) -> None:
        kept = {await rig.deliver() for _ in range(10)}
        removed = [await rig.deliver() for _ in range(40)]
        for name in removed:
            await rig.remove(name)
        for _ in range(20):
            await rig.put()
        found = await asyncio.gather(*(rig.sweep(-1, settle=False) for _ in range(4)))
        found += [await rig.sweep(-1) for _ in range(2)]
        # A body counts twice if one node lists it while another deletes it.
        assert sum(each.deleted for each in found) >= 60
        assert await rig.names() == kept

    run(dsn, test)


def test_a_body_that_goes_during_a_listing_is_deleted_again(
    dsn: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that another sweep deletes between its listing and its mark counts twice, no more."""

    async def test(rig: Rig) -> None:
        kept, removed = await rig.deliver(), await rig.deliver()
        list_bodies = rig.bodies.first

        async def list_and_delete(most: int, after: str) -> Sequence[BodyEntry]:
            entries = await list_bodies(most, after=after)
            await rig.remove(removed)
            assert (await Sweep(rig.database, rig.bodies, -DAY).run(0)).deleted == 1
            return entries

        with monkeypatch.context() as patch:
            patch.setattr(rig.bodies, "first", list_and_delete)
            assert await rig.sweep(-1) == Swept(deleted=0, listed=2, marked=1, waiting=1)
        assert await rig.sweep(-1) == Swept(deleted=1, listed=1, marked=0, waiting=0)
        assert await rig.names() == {kept}

    run(dsn, test)


def test_a_bucket_of_another_cluster_is_left_alone(dsn: Secret) -> None:
    """A database that is not the bucket's own marks and deletes nothing there."""

    async def test(rig: Rig) -> None:
        await rig.sweep()
        name = await rig.put()
        await rig.sql("update cluster set id = gen_random_uuid()")
        with pytest.raises(StoreError, match="belongs to another cluster"):
            await rig.sweep(-1)
        assert await rig.names() == {name}
        assert await rig.sql("select * from removed") == []

    run(dsn, test)


def test_a_sweep_can_be_killed_at_any_moment(dsn: Secret) -> None:
    """A sweep that is killed at any message or call loses nothing, and the next ones finish it."""

    async def prepare(rig: Rig) -> set[str]:
        await rig.sql("truncate box, message, removed")
        await rig.bodies.delete(sorted(await rig.names()))
        kept = {await rig.deliver() for _ in range(2)}
        await rig.remove(await rig.deliver())
        for _ in range(2):
            await rig.put()
            await rig.sweep(-1)
        await rig.put()
        return kept

    async def test(rig: Rig) -> int:
        counter = KillSwitch()
        await prepare(rig)
        await counter.run(rig.sweep(-1))
        for at in range(1, counter.count + 1):
            kept = await prepare(rig)
            await KillSwitch(at).run(rig.sweep(-1))
            for _ in range(3):
                await rig.sweep(-1)
            assert await rig.names() == kept
            assert len(await rig.sql("select * from message")) == 2
        return counter.count

    assert run(dsn, test) > 10
