"""All maildrops of a cluster: this node opens some of them, one session of an owner at a time."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from restante.protocol.stuffing import size_on_wire
from restante.quota import MailUsage, Quota
from restante.storage.cluster import schema, startup
from restante.storage.cluster.bodies import connect_bodies, new_name
from restante.storage.cluster.database import Database
from restante.storage.cluster.errors import UnansweredError, check_inline
from restante.storage.cluster.lease import BEATS, Node
from restante.storage.cluster.maildrop import ClusterMaildrop, HeldLease, StoreParts
from restante.storage.cluster.peers import Peers
from restante.storage.cluster.read_ahead import ReadAheadBudget
from restante.storage.cluster.removed_mail import RemovedMail
from restante.storage.cluster.requests import NodeRequests
from restante.storage.cluster.snapshot import BoxSnapshot
from restante.storage.cluster.sweep import Sweep
from restante.storage.cluster.usage import read_usage
from restante.storage.errors import BusyError, StoreError, TooSoonError
from restante.storage.quota import StoredWithin
from restante.storage.snapshot_cache import SnapshotCache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.lease import Standing
    from restante.storage.cluster.settings import ClusterSettings
    from restante.storage.cluster.snapshot import Snapshots
    from restante.storage.interfaces import StoreFigures
    from restante.storage.peers import PeerNews

START_TIME = 2  # seconds that the begin of a server may wait for PostgreSQL
FIRST_PAUSE = 0.05  # seconds between two tries at a lease of another node; each is twice as long
LONGEST_PAUSE = 0.4
SLOWEST = 1_000_000  # octets per second that PostgreSQL takes at least: big mail has more time

OPEN = """
select *, false as too_soon, set_config('synchronous_commit', 'off', true)
from open_box($1, $2, $3, $4)
"""
OPEN_AFTER = """
select *, set_config('synchronous_commit', 'off', true) from open_box_after($1, $2, $3, $4, $5)
"""  # nothing of a login must last, but a page that it tidies up would let it wait for a standby
DELIVER = "select deliver_within_quota($1, $2, $3, $4, $5, $6, $7, $8)"
DELIVER_AGAIN = "select deliver_again($1, $2, $3, $4, $5, $6, $7, $8)"
HAS = "select exists (select from box where owner = $1)"
SET_QUOTA = """
insert into box (owner, quota_octets, quota_messages) values ($1, $2, $3)
on conflict (owner) do update set quota_octets = $2, quota_messages = $3
"""


@dataclass(slots=True)
class _Life:
    """The parts of a store between the begin and the end of `open`, in one event loop."""

    database: Database
    node: Node
    peers: Peers
    is_checked: bool = False  # the tables have the right version

    async def require_version(self, patience: float | None = None) -> None:
        """Raise VersionError unless the tables fit. Raises StoreError: there is no answer."""
        await schema.require_version(self.database, patience)
        self.is_checked = True


class ClusterStore(RemovedMail, NodeRequests):
    """Maildrops in PostgreSQL, whose large bodies may be in an object store.

    `on_problem` is called with what an administrator should know.

    Attributes:
        bodies: the object store, once it was needed.
        budget: the memory of all sessions for reading ahead.
        deliveries_at_once: how many deliveries are worthwhile at once.
    """

    def __init__(
        self, settings: ClusterSettings, on_problem: Callable[[str], None] = lambda _problem: None
    ) -> None:
        self._settings = settings
        self._on_problem = on_problem
        self._snapshots: Snapshots = SnapshotCache()
        self._sessions: dict[str, asyncio.Event] = {}  # by owner: set at the end of the session
        self._life: _Life | None = None
        self._on_loss: Callable[[], object] = lambda: None
        self.budget = ReadAheadBudget()
        self.bodies: ObjectBodies | None = None
        self.deliveries_at_once = 2 * settings.connections

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connect, and work until the end of the context. Raises StoreError.

        If PostgreSQL does not answer, the store opens anyway: it may come back.
        """
        settings = self._settings
        if settings.objects and self.bodies is None:  # its client has threads: not before a fork
            self.bodies = connect_bodies(settings)
        database = Database(
            settings.dsn,
            connections=settings.connections,
            pooler=settings.pooler,
            patience=settings.patience,
            on_problem=self._on_problem,
        )
        beats = Database(
            settings.dsn,
            connections=1,
            pooler=settings.pooler,
            patience=min(settings.lease / BEATS, settings.patience),
        )
        node = Node(database, beats, settings.lease, self._note_death)
        try:
            self._life = life = _Life(database, node, Peers(database))
            try:
                await life.require_version(START_TIME)
            except schema.VersionError:
                raise
            except StoreError as error:
                self._on_problem(f"{error}; its mail cannot be used until it answers")
            yield
        finally:
            self._life = None
            await node.close()
            await beats.aclose()
            await database.aclose()
            self._sessions.clear()

    def call_on_loss(self, on_loss: Callable[[], object]) -> None:
        """Call a function each time that this node has lost its maildrops."""
        self._on_loss = on_loss

    def figures(self) -> StoreFigures:
        """Return what this process has of the cluster. It must be open."""
        return cast("_Life", self._life).database.figures(len(self._sessions))

    async def acquire(self, owner: str, patience: float) -> ClusterMaildrop:
        """Lock and open the maildrop of an owner. Raises BusyError, StoreError."""
        return await self._acquire(owner, patience, None)

    async def acquire_delayed(self, owner: str, patience: float, delay: int) -> ClusterMaildrop:
        """Do the same at least some seconds after the last login of the owner, at whatever node.

        Raises TooSoonError, BusyError, StoreError.
        """
        return await self._acquire(owner, patience, delay)

    async def _acquire(self, owner: str, patience: float, delay: int | None) -> ClusterMaildrop:
        deadline = asyncio.get_running_loop().time() + patience
        ended = await self._wait_for_turn(owner, deadline)
        try:
            return await self._take(owner, ended, deadline, delay)
        except BaseException:
            self._end_session(owner, ended)
            raise

    async def deliver(self, owner: str, message: bytes) -> str:
        """Store a message and return its unique-id.

        Raises OverQuotaError: the maildrop has a quota of its own. Raises StoreError.
        """
        return await self._deliver(owner, message, Quota())

    async def deliver_within(self, owner: str, message: bytes, quota: Quota) -> StoredWithin:
        """Do the same within a quota, unless the maildrop has its own.

        Raises OverQuotaError, StoreError.
        """
        uid, octets = await self._deliver(owner, message, quota), size_on_wire([message])
        # From here on nothing may fail: the message is delivered, and its sender must know.
        try:
            return StoredWithin(uid, octets, *await self.find_usage(owner, quota))
        except Exception as error:  # noqa: BLE001  # whatever it is
            if not isinstance(error, StoreError):
                self._on_problem(f"after a delivery, the usage is not known: {error!r}")
            return StoredWithin(uid, octets, MailUsage(octets, 1), Quota())  # unlimited: no warning

    async def find_usage(
        self,
        owner: str,
        quota: Quota,
        *,
        recount: bool = False,  # noqa: ARG002  # the sum is of the same transactions as the mail
    ) -> tuple[MailUsage, Quota]:
        """Return how much mail an owner has on the wire, and the quota that applies.

        Raises StoreError.
        """
        return await read_usage((await self._ready()).database, owner, quota)

    async def _deliver(self, owner: str, message: bytes, quota: Quota) -> str:
        """Store a message and return its unique-id. Raises StoreError.

        A body outside is there before its row, so that no row is ever without its body.
        """
        database, uid = (await self._ready()).database, secrets.token_hex(12)
        name: str | None = None  # of a body outside
        content: bytes | None = message
        if self.bodies is not None and len(message) > self._settings.inline:
            name, content = new_name(), None
            database.require_commits()
            await self.bodies.put(name, message, owner=owner)
        else:
            check_inline(len(message))
        patience = self._settings.patience + len(content or b"") / SLOWEST
        arguments = (owner, uid, size_on_wire([message]), len(message), name, content, *quota)
        try:
            await database.commit(DELIVER, *arguments, patience=patience)
        except UnansweredError:  # it may be delivered: another try of the sender would be a second
            await database.fetchrow(DELIVER_AGAIN, *arguments, patience=patience)
        except StoreError:  # there is no row: mail that is sent again and again fills no bucket
            if self.bodies is not None and name is not None:
                with contextlib.suppress(StoreError):
                    await self.bodies.delete([name])
            raise
        return uid

    async def check(self) -> None:
        """Raise StoreError if no login succeeds now: PostgreSQL is down, or read-only."""
        life = await self._ready()
        await life.node.stand()
        await life.database.fetchrow(HAS, "")

    async def has(self, owner: str) -> bool:
        """Return whether an owner has a maildrop. Raises StoreError."""
        row = await (await self._ready()).database.fetchrow(HAS, owner)
        assert row is not None
        return bool(row[0])

    async def claim_round(self, task: str, seconds: float) -> bool:
        """Return whether this node does the next round of a task, for some seconds the only one.

        Raises StoreError.
        """
        return await (await self._ready()).peers.claim_round(task, seconds)

    async def require_same_clock(self) -> None:
        """Raise StoreError unless the clocks of this node and of PostgreSQL are nearly the same."""
        await (await self._ready()).peers.require_same_clock()

    async def find_faults(self) -> Sequence[str]:
        """Return what an administrator should repair, though the store works. Raises StoreError."""
        return await startup.find_faults((await self._ready()).database, self.bodies)

    async def sweep(
        self, goes_on: Callable[[], bool] = lambda: True
    ) -> AsyncIterator[Mapping[str, int]]:
        """Delete bodies that no message has any more, while it `goes_on`. Raises StoreError."""
        if self.bodies is not None:
            database = (await self._ready()).database
            counts = await Sweep(database, self.bodies, self._settings.grace).run(goes_on=goes_on)
            yield counts._asdict()

    async def share(self, failures: Mapping[bytes, int]) -> PeerNews:
        """Share failed logins with the other nodes, and return what is new. Raises StoreError."""
        life = await self._ready()
        standing = await life.node.stand()  # so that a node without sessions is seen, too
        await self.announce(str(standing.node))
        return await life.peers.share(failures, standing.node)

    async def kick(self, owner: str) -> None:
        """End the sessions of an owner at all nodes, within two seconds. Raises StoreError."""
        await (await self._ready()).peers.kick(owner)

    async def free_unused_lease(self, owner: str) -> None:
        """Free the lease of a maildrop if no session of this node has it. Raises StoreError."""
        if owner not in self._sessions:
            await (await self._ready()).node.free_unused(owner)

    async def set_quota(self, owner: str, octets: int | None, messages: int | None) -> None:
        """Give an owner a quota; 0 stands for no limit, None for no own one. Raises StoreError."""
        await (await self._ready()).database.fetch(SET_QUOTA, owner, octets, messages)

    @property
    def database(self) -> Database:
        """The connections. Raises StoreError: the store is not open."""
        if self._life is None:
            raise StoreError("the store is not open")
        return self._life.database

    async def _open_database(self) -> Database:
        return (await self._ready()).database

    async def _ready(self) -> _Life:
        """Return what the open store has. Raises VersionError, StoreError: it cannot be used."""
        life = self._life
        if life is None:
            raise StoreError("the store is not open")
        if not life.is_checked:  # PostgreSQL did not answer at the start
            await life.require_version()
        return life

    def _note_death(self) -> None:
        self._on_problem(
            "this node was silent for too long, or PostgreSQL crashed or failed over: the sessions"
            " of this node have lost their maildrops, and removed nothing"
        )
        self._on_loss()

    async def _wait_for_turn(self, owner: str, deadline: float) -> asyncio.Event:
        """Return the event of a new session of an owner, after those of this node have ended."""
        while (running := self._sessions.get(owner)) is not None:
            try:
                async with asyncio.timeout_at(deadline):
                    await running.wait()
            except TimeoutError:
                raise BusyError("another session holds the maildrop") from None
        ended = self._sessions[owner] = asyncio.Event()
        return ended

    def _end_session(self, owner: str, ended: asyncio.Event) -> None:
        ended.set()
        if self._sessions.get(owner) is ended:
            del self._sessions[owner]

    async def _take(
        self, owner: str, ended: asyncio.Event, deadline: float, delay: int | None
    ) -> ClusterMaildrop:
        """Take the lease of an owner's box from no other node that is alive."""
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        while (maildrop := await self._open_box(owner, ended, delay)) is None:
            if loop.time() >= deadline:
                raise BusyError("a session at another node holds the maildrop")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        return maildrop

    async def _open_box(
        self, owner: str, ended: asyncio.Event, delay: int | None
    ) -> ClusterMaildrop | None:
        """Return the maildrop of a session, None while another node has the lease.

        Raises TooSoonError, StoreError.
        """
        life = await self._ready()
        standing, token = await life.node.stand(), uuid.uuid4()
        try:
            opened = await self._request_lease(owner, standing, token, delay)
        except BaseException as error:
            # An answer of PostgreSQL, or a call that it never got, leaves no lease.
            if isinstance(error, StoreError) and not isinstance(error, UnansweredError):
                raise
            life.node.abandon(owner, token)
            raise
        if opened is None:
            return None
        box, snapshot = opened
        parts = StoreParts(
            database=life.database,
            bodies=self.bodies,
            budget=self.budget,
            keep_deleted=self._settings.keep_deleted,
            keep=functools.partial(self._keep_snapshot, owner),
            end=functools.partial(self._end_session, owner, ended),
        )
        return ClusterMaildrop(HeldLease(life.node, standing, box, token), parts, snapshot)

    async def _request_lease(
        self, owner: str, standing: Standing, token: uuid.UUID, delay: int | None
    ) -> tuple[int, BoxSnapshot] | None:
        """Return the box that the lease is for, and its messages; None: another node has it."""
        snapshot = self._snapshots.get(owner)
        generation = None if snapshot is None else snapshot.generation
        query, delays = (OPEN, ()) if delay is None else (OPEN_AFTER, (delay,))
        row = await self.database.fetchrow(query, owner, standing.node, token, generation, *delays)
        assert row is not None
        if row["too_soon"]:
            raise TooSoonError(f"the last login was less than {delay} seconds ago")
        if row["generation"] is None:
            return None
        if standing.is_lost:
            raise StoreError("this node was silent for too long")
        if snapshot is None or row["generation"] != generation:
            snapshot = BoxSnapshot.from_row(row)
            self._snapshots.keep(owner, snapshot)
        return row["box_id"], snapshot

    def _keep_snapshot(self, owner: str, remaining: BoxSnapshot | None) -> None:
        if remaining is None:
            self._snapshots.forget(owner)
        else:
            self._snapshots.keep(owner, remaining)
