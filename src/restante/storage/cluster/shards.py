"""Mail in several databases: a directory in the first one says which owner is in which.

A node keeps what the directory said. After a move, the old database refuses the owner, and the node
asks the directory again. So what a node keeps may be out of date, and is never wrong for long.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from restante.storage.age_limit import AgeLimit
from restante.storage.cluster.errors import MovedError
from restante.storage.cluster.schema import require_version
from restante.storage.cluster.settings import FIRST
from restante.storage.cluster.store import ClusterStore
from restante.storage.errors import StoreError
from restante.storage.interfaces import StoreFigures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence

    from restante.quota import MailUsage, Quota
    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database
    from restante.storage.cluster.maildrop import ClusterMaildrop
    from restante.storage.cluster.settings import ClusterSettings
    from restante.storage.interfaces import ExpiredMessage
    from restante.storage.peers import PeerAnswers, PeerLease, PeerNews, PeerNode
    from restante.storage.quota import StoredWithin
    from restante.storage.removals import DeletedMessage

T = TypeVar("T")

MAX_KEPT = 100_000  # owners of which a process keeps the shard

FIND = "select shard from directory where owner = $1"
IS_MOVED = "select exists (select from moved where owner = $1)"


class Shard(NamedTuple):
    """One of the databases, open, with its bodies outside and the limit of those inside."""

    store: ClusterStore
    bodies: ObjectBodies | None
    inline: int

    @property
    def database(self) -> Database:
        """The connections."""
        return self.store.database


@contextlib.asynccontextmanager
async def open_shards(settings: ClusterSettings) -> AsyncIterator[dict[str, Shard]]:
    """Open all databases for a command. Raises StoreError: one of them cannot be used now."""
    shards: dict[str, Shard] = {}
    async with contextlib.AsyncExitStack() as stack:
        for name, shard_settings in {FIRST: settings, **settings.shards}.items():
            store = ClusterStore(shard_settings)
            try:
                await stack.enter_async_context(store.open())
                await require_version(store.database)
            except StoreError as error:
                if not settings.shards:
                    raise
                raise StoreError(f"database {name}: {error}") from error
            shards[name] = Shard(store, store.bodies, shard_settings.inline)
        yield shards


async def find_shard(shards: Mapping[str, Shard], owner: str) -> Shard:
    """Return the shard where an owner's mail is. Raises StoreError."""
    row = await shards[FIRST].database.fetchrow(FIND, owner)
    return get_shard(shards, str(row[0]) if row else FIRST)


def get_shard(shards: Mapping[str, T], name: str) -> T:
    """Return a shard by its name. Raises StoreError: the configuration has none of this name."""
    if name not in shards:
        raise StoreError(f"cluster.shards.{name} is missing in the configuration; add it")
    return shards[name]


class ShardedStore:
    """Maildrops in several databases. `on_problem` is as for ClusterStore.

    Attributes:
        shards: the stores by name.
        kept: the shards of some owners, as the directory said. They may have moved since.
        deliveries_at_once: how many deliveries are worthwhile at once.
    """

    def __init__(
        self, settings: ClusterSettings, on_problem: Callable[[str], None] = lambda _problem: None
    ) -> None:
        self.shards = {
            name: ClusterStore(each, lambda problem, name=name: on_problem(f"{name}: {problem}"))  # type: ignore[misc]
            for name, each in {FIRST: settings, **settings.shards}.items()
        }
        self.kept: dict[str, str] = {}  # shards by owner
        self.deliveries_at_once = sum(each.deliveries_at_once for each in self.shards.values())

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connect to all databases, and work until the end of the context. Raises StoreError."""
        async with contextlib.AsyncExitStack() as stack:
            for store in self.shards.values():
                await stack.enter_async_context(store.open())
            yield

    def figures(self) -> StoreFigures:
        """Return the sums over all databases. They must be open."""
        figures = [store.figures() for store in self.shards.values()]
        return StoreFigures(*map(sum, zip(*figures, strict=True)))

    async def acquire(self, owner: str, patience: float) -> ClusterMaildrop:
        """Lock and open the maildrop of an owner. Raises BusyError, StoreError."""
        return await self._use(owner, lambda store: store.acquire(owner, patience))

    async def acquire_delayed(self, owner: str, patience: float, delay: int) -> ClusterMaildrop:
        """Lock and open a maildrop, `delay` seconds after its last login at the earliest.

        Raises TooSoonError, BusyError, StoreError.
        """
        return await self._use(owner, lambda store: store.acquire_delayed(owner, patience, delay))

    async def deliver(self, owner: str, message: bytes) -> str:
        """Store a message and return its unique-id. Raises StoreError."""
        return await self._use(owner, lambda store: store.deliver(owner, message))

    async def deliver_within(self, owner: str, message: bytes, quota: Quota) -> StoredWithin:
        """Do the same within a quota. Raises OverQuotaError, StoreError."""
        return await self._use(owner, lambda store: store.deliver_within(owner, message, quota))

    async def find_usage(
        self, owner: str, quota: Quota, *, recount: bool = False
    ) -> tuple[MailUsage, Quota]:
        """Return how much mail an owner has, and the quota that applies. Raises StoreError."""
        return await self._use_where_it_is(
            owner, lambda store: store.find_usage(owner, quota, recount=recount)
        )

    async def check(self) -> None:
        """Raise StoreError if the first database, which all logins ask, cannot be used now."""
        await self.shards[FIRST].check()

    async def has(self, owner: str) -> bool:
        """Return whether an owner has a maildrop. Raises StoreError."""

        async def find(store: ClusterStore) -> bool:
            if await store.has(owner):
                return True
            await _require_here(store, owner)
            return False

        return await self._use(owner, find)

    async def expire(
        self, owner: str, days: int, *, now: float | None = None, dry_run: bool = False
    ) -> list[ExpiredMessage]:
        """Remove the messages that came at least this many days before `now`, and return them.

        Raises BusyError, StoreError.
        """
        return await self._use_where_it_is(
            owner, lambda store: store.expire(owner, days, now=now, dry_run=dry_run)
        )

    async def list_deleted(self, owner: str, *, headers: bool = False) -> list[DeletedMessage]:
        """Return the removed messages that are kept, the first removed first. Raises StoreError."""
        return await self._use_where_it_is(
            owner, lambda store: store.list_deleted(owner, headers=headers)
        )

    async def undelete(self, owner: str, uids: Collection[str]) -> list[DeletedMessage]:
        """Restore removed messages, and return them. Raises BusyError, StoreError."""
        return await self._use(owner, lambda store: store.undelete(owner, uids))

    async def sweep_deleted(
        self, days: int, report: Callable[[str, str], object], *, now: float | None = None
    ) -> AsyncIterator[int]:
        """Delete what was removed at least some days ago, and yield the numbers of messages.

        Raises StoreError.
        """
        limit = AgeLimit.from_days(days, now)
        async for count in self._do_in_each(
            lambda store: store.sweep_deleted(days, report, now=limit.now)
        ):
            yield count

    async def find_expired(self, days: Mapping[str, int]) -> AsyncIterator[Sequence[str]]:
        """Yield those of the owners in `days` with messages of at least that age in days.

        Raises StoreError.
        """
        async for owners in self._do_in_each(lambda store: store.find_expired(days)):
            yield owners

    async def set_quota(self, owner: str, octets: int | None, messages: int | None) -> None:
        """Give an owner a quota; 0 stands for no limit, None for no own one. Raises StoreError."""
        await self._use(owner, lambda store: store.set_quota(owner, octets, messages))

    async def claim_round(self, task: str, seconds: float) -> bool:
        """Return whether this node does the next round of a task, for some seconds the only one.

        Each database removes mail by its own clock, which the work itself compares.
        Raises StoreError.
        """
        return await self.shards[FIRST].claim_round(task, seconds)

    async def find_faults(self) -> Sequence[str]:
        """Return what an administrator should repair, though the store works. Raises StoreError."""
        faults: list[str] = []
        for name, store in self.shards.items():
            try:
                faults += [f"{name}: {fault}" for fault in await store.find_faults()]
            except StoreError as error:  # the sweep of the others waits for this
                if name == FIRST:
                    raise
                faults.append(f"{name}: its settings cannot be checked: {error}")
        return faults

    async def sweep(
        self, goes_on: Callable[[], bool] = lambda: True
    ) -> AsyncIterator[Mapping[str, int]]:
        """Delete bodies that no message has any more, while it `goes_on`. Raises StoreError."""
        async for counts in self._do_in_each(lambda store: store.sweep(goes_on)):
            yield counts

    async def share(self, failures: Mapping[bytes, int]) -> PeerNews:
        """Share failed logins with the other nodes, and return what is new. Raises StoreError."""
        return await self.shards[FIRST].share(failures)

    async def kick(self, owner: str) -> None:
        """End the sessions of an owner at all nodes, within two seconds. Raises StoreError."""
        await self.shards[FIRST].kick(owner)

    @property
    def node(self) -> str:
        """The random name of this node, "" before its first `share`."""
        return self.shards[FIRST].node

    async def list_nodes(self) -> Sequence[PeerNode]:
        """Return the nodes that serve, and those that ended without a word. Raises StoreError."""
        return await self.shards[FIRST].list_nodes()

    async def send_request(self, content: bytes) -> None:
        """Make a request to all other nodes that is not answered. Raises StoreError."""
        await self.shards[FIRST].send_request(content)

    async def ask_nodes(
        self, content: bytes, but: Collection[str], patience: float, *, first: bool = False
    ) -> PeerAnswers:
        """Ask all other nodes but some of them. Raises StoreError."""
        return await self.shards[FIRST].ask_nodes(content, but, patience, first=first)

    async def find_lease(self, owner: str) -> PeerLease | None:
        """Return which node has the lease of a maildrop, if it is known. Raises StoreError."""
        return await self._use_where_it_is(owner, lambda store: store.find_lease(owner))

    async def free_unused_lease(self, owner: str) -> None:
        """Free the lease of a maildrop if no session of this node has it. Raises StoreError."""
        await self._use_where_it_is(owner, lambda store: store.free_unused_lease(owner))

    async def answer_request(self, request: str, content: bytes) -> None:
        """Answer a request by its id. Raises StoreError."""
        await self.shards[FIRST].answer_request(request, content)

    def call_on_loss(self, on_loss: Callable[[], object]) -> None:
        """Call a function each time that this node has lost its maildrops in a database."""
        for store in self.shards.values():
            store.call_on_loss(on_loss)

    async def find(self, owner: str) -> str:
        """Return the name of the shard where an owner's mail is. Raises StoreError."""
        row = await self.shards[FIRST].database.fetchrow(FIND, owner)
        return str(row[0]) if row else FIRST

    async def _do_in_each(
        self, work: Callable[[ClusterStore], AsyncIterator[T]]
    ) -> AsyncIterator[T]:
        """Do work that depends on the clock in each database, and yield what it yields.

        If a database fails, the others have their turn. Raises StoreError at the end.
        """
        problems = []
        for name, store in self.shards.items():
            try:
                await store.require_same_clock()
                async for result in work(store):
                    yield result
            except StoreError as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise StoreError("; ".join(problems))

    async def _use(self, owner: str, work: Callable[[ClusterStore], Awaitable[T]]) -> T:
        """Do some work in the database of an owner. If it was moved, ask where it is now."""
        name = self.kept.get(owner)
        if name is not None:
            with contextlib.suppress(MovedError):
                return await work(get_shard(self.shards, name))
        name = await self.find(owner)
        self._keep(owner, name)
        return await work(get_shard(self.shards, name))

    async def _use_where_it_is(self, owner: str, work: Callable[[ClusterStore], Awaitable[T]]) -> T:
        """Do the same with work that raises no MovedError, but finds nothing in an old database."""

        async def work_here(store: ClusterStore) -> T:
            await _require_here(store, owner)
            return await work(store)

        return await self._use(owner, work_here)

    def _keep(self, owner: str, name: str) -> None:
        self.kept.pop(owner, None)
        self.kept[owner] = name
        if len(self.kept) > MAX_KEPT:
            del self.kept[next(iter(self.kept))]


async def _require_here(store: ClusterStore, owner: str) -> None:
    """Raise MovedError if an owner's mail has moved from this database. Raises StoreError."""
    row = await store.database.fetchrow(IS_MOVED, owner)
    if row and row[0]:
        raise MovedError("the mail is in another database")
