"""All nodes share delays, failed logins, kicks, and rounds of recurring tasks."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from typing import Any

import pytest

from restante.protocol.secret import Secret
from restante.storage.age_limit import DAY
from restante.storage.cluster import ClusterStore, peers
from restante.storage.cluster.database import Database
from restante.storage.cluster.peers import Peers
from restante.storage.errors import BusyError, StoreError, TooSoonError
from storage.cluster.node_pair import at_two_nodes
from support.cluster import execute

LETTER = b"Subject: a\n\nhello\n"  # 21 octets on the wire
ME = uuid.uuid4()
PAIR, OTHER = bytes(16), bytes(range(16))


async def age_logins(dsn: Secret, seconds: float) -> None:
    """Let the last logins be some seconds older."""
    sql = "update lease set logged_in = logged_in - $1 * interval '1 second'"
    await execute(dsn, sql, float(seconds))


def test_delay_after_login_elsewhere(dsn: Secret) -> None:
    """rfc2449-s6.5/login-delay: a login counts at each node, by the clock of PostgreSQL."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        (await first.acquire_delayed("ann", 1, 60)).release()
        for node in (first, second):
            with pytest.raises(TooSoonError):
                await node.acquire_delayed("ann", 1, 60)
        (await second.acquire_delayed("bob", 1, 60)).release()
        await age_logins(dsn, 59)
        with pytest.raises(TooSoonError):
            await second.acquire_delayed("ann", 1, 60)
        await age_logins(dsn, 2)
        maildrop = await second.acquire_delayed("ann", 1, 60)
        with pytest.raises(TooSoonError):  # and not "in use": no lease was taken
            await first.acquire_delayed("ann", 0, 60)
        await age_logins(dsn, 61)
        with pytest.raises(BusyError):
            await first.acquire_delayed("ann", 0, 60)
        maildrop.release()
        with pytest.raises(TooSoonError):
            await asyncio.gather(*(each.acquire_delayed("cy", 1, 60) for each in (first, second)))

    at_two_nodes(dsn, work)


def test_earlier_clock_counts(dsn: Secret) -> None:
    """The age of mail counts by the clock of the node or of the database, whichever is earlier."""

    async def work(first: ClusterStore, _: ClusterStore) -> None:
        await first.deliver("ann", LETTER)
        now = time.time()
        assert await first.expire("ann", 7, now=now + 8 * DAY) == []
        await execute(dsn, "update message set arrived = arrived - interval '8 days'")
        assert await first.expire("ann", 7, now=now - 2 * DAY) == []
        assert [old.days for old in await first.expire("ann", 7, now=now + DAY)] == [8]

    at_two_nodes(dsn, work)


def test_expiry_is_no_login(dsn: Secret) -> None:
    """The removal of old mail delays no login."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        await first.deliver("ann", LETTER)
        await execute(dsn, "update message set arrived = arrived - interval '8 days'")
        assert len(await first.expire("ann", 7)) == 1
        (await second.acquire_delayed("ann", 1, 60)).release()

    at_two_nodes(dsn, work)


def test_owners_with_old_mail(dsn: Secret) -> None:
    """Only maildrops with old mail are found, each by its own number of days."""

    async def work(first: ClusterStore, _: ClusterStore) -> None:
        for owner in ("ann", "bob", "cy"):
            await first.deliver(owner, LETTER)
        await execute(dsn, "update message set arrived = arrived - interval '8 days'")
        await first.deliver("ann", LETTER)
        days = {"ann": 7, "bob": 9, "cy": 8, "nobody": 1}
        assert [sorted(owners) async for owners in first.find_expired(days)] == [["ann", "cy"]]

    at_two_nodes(dsn, work)


def test_one_node_does_a_round(dsn: Secret) -> None:
    """Of all nodes one gets a round, and the next one after some time."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        nodes = (first, second) * 4
        claims = await asyncio.gather(*(node.claim_round("expire", 60) for node in nodes))
        assert sum(claims) == 1
        assert await second.claim_round("another task", 60)
        await execute(dsn, "update round set next = next - interval '1 minute'")
        assert await second.claim_round("expire", 60)
        assert not await first.claim_round("expire", 60)
        await execute(dsn, "update round set next = next + interval '1 year'")
        assert await second.claim_round("expire", 60)  # PostgreSQL's clock was set back
        assert not await first.claim_round("expire", 60)

    at_two_nodes(dsn, work)


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_node_with_another_clock(
    dsn: Secret, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """No node removes mail while its clock and that of PostgreSQL are an hour apart."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        now = time.time() + seconds
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: now)
            with pytest.raises(StoreError, match=r"PostgreSQL differ by 3\d\d\d seconds; let NTP"):
                await first.claim_round("expire", 60)
            with pytest.raises(StoreError, match=r"PostgreSQL differ by 3\d\d\d seconds; let NTP"):
                [owners async for owners in first.find_expired({"ann": 1})]
        assert await second.claim_round("expire", 60)

    at_two_nodes(dsn, work)


@pytest.mark.parametrize("query", ["FAILURES", "NEWS", "PRUNE"])
def test_failures_count_once(dsn: Secret, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    """An exchange that fails half-way shares no failed login, since the next one has it again."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        monkeypatch.setattr(peers, "PRUNE_EACH", 1)
        with monkeypatch.context() as patched:
            broken = getattr(peers, query).replace("clock_timestamp()", "no_function()")
            patched.setattr(peers, query, broken)
            with pytest.raises(StoreError):
                await first.share({PAIR: 2})
        assert (await second.share({})).failures == []
        await first.share({PAIR: 2})
        ((pair, number, _),) = (await second.share({})).failures
        assert (pair, number) == (PAIR, 2)

    at_two_nodes(dsn, work)


def test_failures_of_all_nodes(dsn: Secret) -> None:
    """Failed logins are added up over the nodes; a login clears them."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        assert (await first.share({PAIR: 2})).key == (await second.share({PAIR: 1})).key
        ((pair, number, age),) = (await first.share({})).failures
        assert (pair, number) == (PAIR, 3)
        assert 0 <= age < 900
        await execute(dsn, "update failure set at = at - interval '11 s'")
        assert (await first.share({})).failures == []  # it knows them already
        await second.share({PAIR: 0, OTHER: 1})
        found = {pair: number for pair, number, _ in (await first.share({})).failures}
        assert found == {PAIR: 0, OTHER: 1}

    at_two_nodes(dsn, work)


def test_old_failures_do_not_count(dsn: Secret) -> None:
    """A failure of more than 15 minutes ago is forgotten, and its row is removed."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        await first.share({PAIR: 5, OTHER: 5})
        await execute(dsn, "update failure set at = at - interval '15 minutes'")
        await first.share({PAIR: 1})
        assert [row[:2] for row in (await second.share({})).failures] == [(PAIR, 1)]
        for _ in range(60):
            await second.share({})
        assert len(await execute(dsn, "select from failure")) == 1

    at_two_nodes(dsn, work)


def test_kick(dsn: Secret) -> None:
    """A kick reaches each node, with its age, and is forgotten later."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        await first.kick("ann")
        for node in (first, second):
            assert list((await node.share({})).kicks) == ["ann"]
        await execute(dsn, "update kick set at = at - interval '11 s'")
        assert (await first.share({})).kicks == {}
        await execute(dsn, "update kick set at = at - interval '1 hour'")
        for _ in range(60):
            await second.share({})
        assert await execute(dsn, "select from kick") == []

    at_two_nodes(dsn, work)


def test_a_kick_before_the_clock_was_set_back(dsn: Secret) -> None:
    """A kick ends no session that began after it, although PostgreSQL's clock was ahead then."""

    async def work(first: ClusterStore, _: ClusterStore) -> None:
        await first.kick("ann")
        await execute(dsn, "update kick set at = at + interval '1 hour'")
        age = (await first.share({})).kicks["ann"]
        await asyncio.sleep(0.01)
        assert 0 <= age < (await first.share({})).kicks["ann"]

    at_two_nodes(dsn, work)


def test_a_kick_in_a_late_answer(dsn: Secret) -> None:
    """A kick that a later, slower answer has again stays as old as it was."""
    late = 0.0

    async def test() -> tuple[float, float, float]:
        nonlocal late
        database = Database(dsn, connections=1)
        node = Peers(database, lambda: time.monotonic() + late)
        await node.kick("ann")
        first = (await node.share({}, ME)).kicks["ann"]
        late = 4.0
        again = (await node.share({}, ME)).kicks["ann"]
        await node.kick("ann")
        new = (await node.share({}, ME)).kicks["ann"]
        await database.aclose()
        return first, again, new

    first, again, new = asyncio.run(test())
    assert again > first + 3
    assert new < again - 3


def test_revoked_app_password(dsn: Secret) -> None:
    """A revoked app password reaches each node, and is known for a year, for files with it."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        await execute(dsn, "insert into account values ('ann', 'hash')")
        await execute(dsn, "insert into app_password values ('digest', 'ann', 'phone')")
        await execute(dsn, "delete from account")
        for node in (first, second):
            assert (await node.share({})).revoked == {"digest"}
        for interval, left in {"11 s": 1, "1 year": 0}.items():
            sql = f"update revoked_app_password set at = at - interval '{interval}'"
            await execute(dsn, sql)
            for _ in range(60):
                assert (await first.share({})).revoked == frozenset()
            assert len(await execute(dsn, "select from revoked_app_password")) == left

    at_two_nodes(dsn, work)


def test_a_quiet_second(dsn: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that has nothing to share, and shares again, makes two queries."""
    queries = []
    fetch = Database.fetch

    async def count(self: Database, query: str, *arguments: object, **options: float) -> Any:
        queries.append(query)
        return await fetch(self, query, *arguments, **options)

    async def work(first: ClusterStore, _: ClusterStore) -> None:
        await first.share({})
        monkeypatch.setattr(Database, "fetch", count)
        monkeypatch.setattr(Database, "fetchrow", count)
        await first.share({})
        assert len(queries) == 2

    at_two_nodes(dsn, work)


def test_kick_during_an_outage(dsn: Secret) -> None:
    """A node that was cut off learns of all kicks since its last answer."""
    now = 1000.0

    async def run() -> None:
        nonlocal now
        database = Database(dsn, connections=1)
        async with contextlib.aclosing(database):
            peers = Peers(database, lambda: now)
            await peers.share({}, ME)
            await peers.kick("ann")
            await execute(dsn, "update kick set at = at - interval '40 s'")
            assert (await peers.share({}, ME)).kicks == {}
            now += 35
            assert list((await peers.share({}, ME)).kicks) == ["ann"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "kicked"),
    [
        ("update account set password = 'another'", True),
        ("update account set locked = true", True),
        ("update account set name = 'eve'", True),
        ("delete from account", True),
        ("update account set expire_days = 7", False),
        ("update account set password = password", False),
    ],
)
def test_changed_account(dsn: Secret, change: str, *, kicked: bool) -> None:
    """A change, a lock or a removal of an account ends its sessions, whatever program makes it."""

    async def work(first: ClusterStore, _: ClusterStore) -> None:
        await execute(dsn, "insert into account (name, password) values ('ann', 'x')")
        assert (await first.share({})).kicks == {}
        await execute(dsn, change)
        assert list((await first.share({})).kicks) == ["ann"] * kicked

    at_two_nodes(dsn, work)
