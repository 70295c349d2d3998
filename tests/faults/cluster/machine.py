"""Two stores on one database, at random, against a dict.

What they do at the same time must be as if one came after the other. The clock of their event loop
is moved; that of PostgreSQL is not. So a node is dead, to the others, when its row says so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

import asyncpg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from restante.storage.cluster import ClusterSettings, ClusterStore
from restante.storage.cluster.lease import BEATS
from restante.storage.cluster.maildrop import ClusterMaildrop
from restante.storage.errors import BusyError, LostError, MessageGoneError, StoreError
from support.cluster import Cluster, execute
from support.live import PATIENCE

T = TypeVar("T")

OWNER = "ann"
LEASE = 60.0  # seconds
PATIENT = 3600.0  # seconds: no request is cut off because the clock is moved meanwhile
NODES = (0, 1)
KEEPING = 0  # this node keeps what it removes

MAX_TRIES = 3000

HELD = """
select from lease join node on node.id = lease.node where node.until > clock_timestamp()
"""
ROWS = """
select uid, content from message m join box b on b.id = m.box
left join body using (box, number) where owner = $1 order by number
"""
COUNTED = "select messages from box where owner = $1"
DIE = """
update node set until = clock_timestamp() - interval '1 s' where id in (select node from lease)
"""
NOTHING = "select"

nodes = st.sampled_from(NODES)
deliveries = st.tuples(st.just("deliver"), nodes, st.sampled_from([10, 500]))
some_places = st.sets(st.integers(0, 3), min_size=1)  # in a session's list
removals = st.tuples(st.just("remove"), nodes, some_places)
reads = st.tuples(st.just("read"), nodes, st.integers(0, 5))
acquisitions = st.tuples(st.just("acquire"), nodes, st.none())
releases = st.tuples(st.just("release"), nodes, st.none())
operations = st.lists(
    st.one_of(deliveries, removals, reads, acquisitions, releases), min_size=1, max_size=4
)

Operation = tuple[str, int, Any]

tried: Counter[str] = Counter()


class SkewedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be put forward."""

    ahead = 0.0  # seconds

    def time(self) -> float:
        return super().time() + self.ahead


async def answers(store: ClusterStore) -> bool:
    """Return whether a store can be used."""
    try:
        await store.check()
    except StoreError:
        return False
    return True


@dataclass
class Group:
    """Steps at the same time, and their results."""

    delivered: dict[str, bytes] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)  # of the removed ones
    acquired: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)  # to acquire


class TwoStores(RuleBasedStateMachine):
    """`there` and `kept` are the model: the maildrop and its removed messages, by unique-id."""

    cluster: ClassVar[Cluster]

    def __init__(self) -> None:
        super().__init__()
        tried["examples"] += 1
        self.there: dict[str, bytes] = {}
        self.kept: dict[str, bytes] = {}
        self.given: set[str] = set()  # unique-ids
        self.sessions: dict[int, ClusterMaildrop] = {}
        self.listed: dict[int, Sequence[str]] = {}
        self.holder: int | None = None  # whose session may remove
        self.dead: set[int] = set()  # nodes that do not know it yet
        self.zombies: set[int] = set()  # nodes with a session that outlived its node
        self.deaths = 0
        self.known_deaths = 0  # to the nodes that died; a beat that was under way says so at once
        self.dsn = self.cluster.new_database()
        self.runner = asyncio.Runner(loop_factory=SkewedLoop)
        self.administrator = self.run(asyncpg.connect(self.dsn.reveal().decode()))
        self.opened = contextlib.AsyncExitStack()
        settings = ClusterSettings(dsn=self.dsn, lease=LEASE, connections=4, patience=PATIENT)
        self.stores = [
            ClusterStore(replace(settings, keep_deleted=node == KEEPING), self.note_death)
            for node in NODES
        ]
        for store in self.stores:
            self.run(self.opened.enter_async_context(store.open()))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def sql(self, query: str, *values: object) -> list[Any]:
        return list(self.run(self.administrator.fetch(query, *values)))

    def note_death(self, _: str) -> None:
        self.known_deaths += 1

    def teardown(self) -> None:
        for node in list(self.sessions):
            self.end(node)
        self.learn()
        self.together([("acquire", 0, None)])
        assert 0 in self.sessions, "the maildrop cannot be opened after all"
        self.end(0)
        self.run(self.opened.aclose())
        self.run(self.administrator.close())
        self.runner.close()
        self.cluster.drop(self.dsn)

    @initialize(holder=nodes)
    def begin(self, holder: int) -> None:
        """Let there be mail, mail that is kept, and a session: few lives get that far by luck."""
        self.together([("deliver", holder, 10)] * 4)
        self.together([("acquire", KEEPING, None)])
        self.together([("remove", KEEPING, {0, 1})])
        self.together([("acquire", holder, None)])
        self.together([("acquire", 1 - holder, None)])  # it is refused

    @rule(several=operations)
    def together(self, several: Sequence[Operation]) -> None:
        """Do some things at the same time, as far as servers do them."""
        busy: set[int] = set()  # a session does one thing at a time
        work = []
        group = Group()
        for name, node, argument in several:
            if name == "deliver":
                work.append(self.deliver(group, node, argument))
            elif node not in busy and (name == "acquire") is not (node in self.sessions):
                busy.add(node)
                if name != "acquire" or node not in self.dead:
                    work.append(getattr(self, name)(group, node, argument))
        tried["operations"] += len(work)
        before = dict(self.there)
        holder = None if self.holder in self.zombies else self.holder

        async def run_all() -> None:
            await asyncio.gather(*work)

        self.run(run_all())
        self.there.update(group.delivered)
        tried["removed"] += len(group.removed)
        tried["kept"] += len(group.kept)
        tried["refused"] += len(group.refused)
        for uid in group.removed:
            message = self.there.pop(uid)
            if uid in group.kept:
                self.kept[uid] = message
        self.check_sessions(group, before, holder)

    async def deliver(self, group: Group, node: int, octets: int) -> None:
        message = b"Subject: %d\n\n" % len(self.given) + b"x" * octets
        uid = await self.stores[node].deliver(OWNER, message)
        assert uid not in self.given, "a unique-id was given twice"
        self.given.add(uid)
        group.delivered[uid] = message

    async def remove(self, group: Group, node: int, places: set[int]) -> None:
        listed = self.listed[node]
        indexes = [place for place in places if place < len(listed)]
        try:
            await self.sessions[node].remove(indexes)
        except LostError:
            assert self.holder != node or node in self.zombies, "a good session lost its maildrop"
            assert not group.removed & {listed[index] for index in indexes}
            tried["lost"] += 1
        else:
            assert not indexes or self.holder == node, "a lost session removed mail"
            removed = {listed[index] for index in indexes} & set(self.there)
            group.removed |= removed
            group.kept |= removed if node == KEEPING else set()
        self.release_now(group, node)

    async def read(self, _: Group, node: int, place: int) -> None:
        listed = self.listed[node]
        if place >= len(listed):
            return
        try:
            found = self.sessions[node].read(place)
            octets = found if isinstance(found, bytes) else await found  # type: ignore[misc]
        except (LostError, MessageGoneError):
            assert self.holder != node or node in self.zombies, "a good session cannot read"
        else:
            assert octets == self.there.get(listed[place], octets), "another message"
            assert octets.startswith(b"Subject: ")

    async def acquire(self, group: Group, node: int, _: None) -> None:
        try:
            maildrop = await self.stores[node].acquire(OWNER, 0)
        except BusyError:
            group.refused.add(node)
        else:
            group.acquired.add(node)
            self.sessions[node] = maildrop
            self.listed[node] = maildrop.contents.uids

    async def release(self, group: Group, node: int, _: None) -> None:
        self.release_now(group, node)

    def release_now(self, group: Group, node: int) -> None:
        self.sessions.pop(node).release()
        self.zombies.discard(node)
        if self.holder == node:
            self.holder = None

    def check_sessions(self, group: Group, before: dict[str, bytes], holder: int | None) -> None:
        """Hold what sessions were granted against what came of everything else."""
        for node in group.acquired:
            listed = set(self.listed[node])
            left = set(before) - group.removed
            assert left <= listed, "a session does not list mail that is there"
            assert listed <= left | set(group.delivered), "a session lists removed mail"
        valid = (set(self.sessions) & {holder}) | group.acquired
        assert len(valid) <= 1, "two sessions hold the maildrop"
        if holder is None and group.refused:
            assert group.acquired, "a maildrop that nobody holds was refused"
        if group.acquired:
            (self.holder,) = group.acquired
        self.wait_until_free()

    def wait_until_free(self) -> None:
        """Wait until what was released is free in the database, too: no lease is left."""
        tries = 0
        while self.holder is None and self.sql(HELD):
            tries += 1
            assert tries < MAX_TRIES, "a lease is left"

    @rule(node=nodes)  # without a precondition: which store got the maildrop is a race
    def end(self, node: int) -> None:
        if node in self.sessions:
            self.together([("release", node, None)])

    @rule(node=nodes, number=st.integers(1, 3))
    def undelete(self, node: int, number: int) -> None:
        """Restore some messages, as a command does, which opens the maildrop."""
        if node in self.dead:
            return
        self.together([("release", holder, None) for holder in self.sessions])
        uids = sorted(self.kept)[:number]
        restored = self.run(self.stores[node].undelete(OWNER, uids))
        assert sorted(message.uid for message in restored) == uids, "not all are restored"
        self.there.update({uid: self.kept.pop(uid) for uid in uids})
        tried["restored"] += len(uids)
        self.wait_until_free()

    @rule()
    def die(self) -> None:
        """Let the node of the session be dead to the others, and not know it."""
        if self.holder is not None and self.holder not in self.zombies:
            self.sql(DIE)
            self.dead.add(self.holder)
            self.zombies.add(self.holder)
            self.deaths += 1
            tried["deaths"] += 1

    @rule(places=some_places)
    def outlive(self, places: set[int]) -> None:
        """Let the node of the session die, another one open the maildrop, and the session go on."""
        holder = self.holder
        self.die()
        if holder is not None:
            self.together([("acquire", 1 - holder, None)])
            self.together([("remove", holder, places)])

    @rule()
    def learn(self) -> None:
        """Let a beat come due at both nodes: the dead one learns of it."""
        loop = self.runner.get_loop()
        assert isinstance(loop, SkewedLoop)
        # Steps are shorter than a beat's time limit. In between, one that connects may end.
        for _ in range(2):
            loop.ahead += LEASE / BEATS / 2
            self.run(execute(self.dsn, NOTHING))

        async def wait() -> None:
            async with asyncio.timeout(PATIENCE):
                while self.known_deaths < self.deaths:  # noqa: ASYNC110  # no event says so
                    await asyncio.sleep(0.001)
                for store in self.stores:  # one that connected for all that time has given up
                    while not await answers(store):  # noqa: ASYNC110  # nor this
                        await asyncio.sleep(0.01)

        self.run(wait())
        self.dead.clear()

    @invariant()
    def rows_are_the_model(self) -> None:
        tried["steps"] += 1
        for owner, expected in ((OWNER, self.there), (f"\x02{OWNER}", self.kept)):
            rows = self.sql(ROWS, owner)
            assert {row["uid"]: row["content"] for row in rows} == expected
            assert len(rows) == len(expected)
            counted = self.sql(COUNTED, owner)
            assert [row["messages"] for row in counted] in ([], [len(expected)])
