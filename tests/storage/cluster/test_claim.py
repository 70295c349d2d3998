"""Which database a place for bodies belongs to, and in which state of it."""

from __future__ import annotations

import asyncio

import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster.bodies import ObjectBodies
from restante.storage.cluster.check.checker import MailCheck
from restante.storage.cluster.check.problems import Problem
from restante.storage.cluster.claim import (
    CLAIM,
    Claim,
    read_claim,
    renew_claim,
    require_claim,
)
from restante.storage.errors import StoreError
from storage.cluster.rig import Rig, run


async def check(rig: Rig, *, repair: bool, settled: float = -60) -> list[Problem]:
    made = MailCheck(rig.database, rig.bodies, repair=repair, settled=settled)
    return [problem async for problem in made.run()]


def test_a_free_place_is_claimed_once(dsn: Secret) -> None:
    """The first database that asks for a place gets it, and keeps it."""

    async def test(rig: Rig) -> None:
        assert await read_claim(rig.database, rig.bodies) is Claim.FREE
        await require_claim(rig.database, rig.bodies)
        assert await read_claim(rig.database, rig.bodies) is Claim.OWN
        first = await rig.bodies.get(CLAIM)
        await require_claim(rig.database, rig.bodies)
        assert await rig.bodies.get(CLAIM) == first

    run(dsn, test)


def test_each_sweep_renews_the_claim(dsn: Secret) -> None:
    """The token of a place is another one after each sweep, and the database knows it."""

    async def test(rig: Rig) -> None:
        seen = set()
        for _ in range(40):
            await renew_claim(rig.database, rig.bodies)
            seen.add(await rig.bodies.get(CLAIM))
            assert await read_claim(rig.database, rig.bodies) is Claim.OWN
        assert len(seen) == 40
        (row,) = await rig.sql("select cardinality(tokens) as count from cluster")
        assert row["count"] == 16

    run(dsn, test)


def test_a_restored_backup_does_not_sweep(dsn: Secret) -> None:
    """A sweep for an earlier state of the database deletes nothing, until an administrator says so.

    The same holds for a standby that was behind when it became the primary.
    """

    async def test(rig: Rig) -> None:
        await rig.sweep()
        (backup,) = await rig.sql("select tokens from cluster")
        removed = await rig.deliver()
        await rig.remove(removed)
        kept = await rig.deliver()
        await rig.sweep()
        await rig.sql("update cluster set tokens = $1", backup["tokens"])
        await rig.sql("delete from message where object = $1", kept)  # came after the backup
        with pytest.raises(StoreError, match="swept for another state of this database"):
            await rig.sweep(-1)
        assert await rig.names() == {kept, removed}
        assert [problem.kind for problem in await check(rig, repair=False)][-1] == "claim"
        repaired = await check(rig, repair=True)
        assert {problem.kind for problem in repaired} == {"message_missing", "counters", "claim"}
        assert all(problem.repaired for problem in repaired)
        await rig.sweep(-1)
        assert await rig.names() == {kept}
        assert await check(rig, repair=False) == []

    run(dsn, test)


def test_a_backup_of_minutes_ago(dsn: Secret) -> None:
    """No sweep begins after a repair that left out recent bodies: they may be lost mail."""

    async def test(rig: Rig) -> None:
        await rig.sweep()
        (backup,) = await rig.sql("select tokens from cluster")
        late = await rig.deliver()
        await rig.sweep()
        await rig.sql("update cluster set tokens = $1", backup["tokens"])
        await rig.sql("delete from message where object = $1", late)
        left = (await check(rig, repair=True, settled=900))[-1]
        assert not left.repaired
        assert "of the last 15 minutes without a message: 1; run this again in 15" in left.text
        with pytest.raises(StoreError, match="another state"):
            await rig.sweep(-1)
        assert (await check(rig, repair=True))[-1].repaired
        await rig.sweep(-1)
        assert await rig.names() == {late}

    run(dsn, test)


def test_a_copy_and_the_original(dsn: Secret) -> None:
    """Of two copies of a database with one place, only the first to sweep goes on."""

    async def test(rig: Rig) -> None:
        await rig.sweep()
        (copy,) = await rig.sql("select tokens from cluster")
        await rig.sweep()
        (original,) = await rig.sql("select tokens from cluster")
        for _ in range(3):
            await rig.sql("update cluster set tokens = $1", copy["tokens"])
            with pytest.raises(StoreError, match="another state"):
                await rig.sweep()
            await rig.sql("update cluster set tokens = $1", original["tokens"])
            await rig.sweep()
            (original,) = await rig.sql("select tokens from cluster")

    run(dsn, test)


def test_two_nodes_renew_the_claim_at_once(dsn: Secret) -> None:
    """Whichever of several sweeps at once is the last, its token is known."""

    async def test(rig: Rig) -> None:
        await asyncio.gather(*(renew_claim(rig.database, rig.bodies) for _ in range(8)))
        assert await read_claim(rig.database, rig.bodies) is Claim.OWN

    run(dsn, test)


def test_a_claim_can_be_read_while_it_is_renewed(dsn: Secret) -> None:
    """A node that reads the claim while another one renews it does not take it for a stranger's."""

    async def test(rig: Rig) -> None:
        await require_claim(rig.database, rig.bodies)

        class SlowBodies(ObjectBodies):
            async def read_whole(self, name: str, octets: int | None = None) -> bytes:
                await renew_claim(rig.database, rig.bodies)  # at another node
                return await rig.bodies.read_whole(name, octets)

        assert await read_claim(rig.database, SlowBodies("memory://", None)) is Claim.OWN

    run(dsn, test)


def test_a_claim_that_cannot_be_read_is_another_ones(dsn: Secret) -> None:
    """An object of that name with other octets is never taken for free."""

    async def test(rig: Rig) -> None:
        for content in (b"", b"\xff", b"something else"):
            await rig.bodies.put(CLAIM, content, owner="")
            with pytest.raises(StoreError, match="belongs to another cluster"):
                await require_claim(rig.database, rig.bodies)

    run(dsn, test)
