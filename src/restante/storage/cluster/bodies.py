"""Bodies of messages outside the database: in an object store, or in a folder that all nodes share.

A body is written once, under a name that never repeats, and never changed. So a request may be
repeated after a lost reply, and nothing here depends on conditional writes, which some object
stores ignore.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from restante.storage.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

    from restante.protocol.secret import Secret
    from restante.protocol.server.needs import Body
    from restante.storage.cluster.settings import ClusterSettings

T = TypeVar("T")

CHUNK = 256 * 1024  # octets that one request reads, and a slow client keeps in memory
SLOWEST = 500_000  # octets a second, which a request of many octets gets beyond its time limit
PATIENCE = 5.0  # seconds
CLOCK_DIFFERENCE = 60  # seconds that are worth a warning
MAX_NAMES = 1000  # in one request to delete: the limit of S3

_NAME = re.compile(r"[0-9a-z]{16,64}")


class MissingBodyError(StoreError):
    """The object store has no body of this name. Its message exists, and cannot be read."""

    def __init__(self, name: str) -> None:
        super().__init__("the body of a message is missing in the object store", path=name)
        self.permanent = True


class BodyEntry(NamedTuple):
    """A body in a listing.

    Attributes:
        name: its name.
        octets: its size as stored.
        modified: when it was written, by the clock of the object store.
    """

    name: str
    octets: int
    modified: datetime


class BodyOrigin(NamedTuple):
    """The origin of a body, stored with it, for `pop3 store check --repair`.

    Attributes:
        owner: whose message it is; "" if the object does not say so.
        arrived: when the message came.
    """

    owner: str
    arrived: datetime


class ObjectBackend(Protocol):
    """A place for objects. All methods raise StoreError, and set no time limit themselves."""

    async def put(self, name: str, content: bytes, origin: BodyOrigin) -> None:
        """Write an object durably. One that exists is replaced."""

    async def read(self, name: str, start: int, end: int) -> tuple[bytes, int]:
        """Return the octets from `start` to `end`, and the size of the object.

        Raises MissingBodyError.
        """

    async def delete(self, names: Sequence[str]) -> None:
        """Delete objects. Those that do not exist count as deleted."""

    def pages(self, after: str) -> AsyncIterator[Sequence[BodyEntry]]:
        """Return all objects in the order of their names, from the first one after `after`."""

    async def origin(self, name: str) -> BodyOrigin:
        """Return the origin that is stored with an object. Raises MissingBodyError."""

    async def problems(self, name: str, content: bytes) -> list[str]:
        """Return what this kind of place does not do as it should, tried with a written object."""


def new_name() -> str:
    """Return a name for a body: 96 random bits, so that no two are ever the same, and the time.

    The names of one day are near each other, in 4096 places. So the indexes of the database write
    few pages, but no part of an object store or folder gets all new bodies.
    """
    random = secrets.token_hex(12)
    return f"{random[:3]}{int(time.time()):08x}{random[3:]}"


class ObjectBodies:
    """The bodies below one address: "s3://BUCKET/PREFIX", "gs://", "az://" or "/A/FOLDER".

    "memory://" is for tests. `secret` has the settings of an object store, as objects_secret.py
    describes. Each call ends after `patience` seconds, and one with many octets gets a second more
    for each 500,000 of them.

    All methods raise StoreError.
    """

    def __init__(self, url: str, secret: Secret | None, *, patience: float = PATIENCE) -> None:
        """Raise ValueError: the address or the secret cannot be used, or a folder is missing."""
        self.url = url
        self._backend = _backend(url, secret)
        self._patience = patience

    async def put(
        self, name: str, content: bytes, *, owner: str, arrived: datetime | None = None
    ) -> None:
        """Write a body. On return it is durable. After an error it may be there all the same."""
        origin = BodyOrigin(owner, arrived or datetime.now(UTC))
        await self._limit_time(self._backend.put(name, content, origin), len(content))

    async def get(self, name: str, octets: int | None = None, *, first: int = CHUNK) -> Body:
        """Return a body, in chunks if it is long. Raises MissingBodyError.

        With `octets`, its size must be this one. The first chunk has at most `first` octets.
        """
        beginning, size = await self._limit_time(self._backend.read(name, 0, first), first)
        if octets is not None and size != octets:
            text = f"the body of a message has {size} octets instead of {octets}"
            raise StoreError(text, permanent=True, path=name)
        if len(beginning) == size:
            return beginning

        async def read(start: int) -> bytes:
            chunk, _ = await self._limit_time(self._backend.read(name, start, start + CHUNK), CHUNK)
            return chunk

        return BodyChunks(read, beginning, size, name)

    async def read_whole(self, name: str, octets: int | None = None) -> bytes:
        """Return all octets of a body. Raises MissingBodyError."""
        body = await self.get(name, octets)
        return body if isinstance(body, bytes) else b"".join([chunk async for chunk in body])

    async def delete(self, names: Sequence[str]) -> None:
        """Delete bodies. Those that do not exist count as deleted."""
        for start in range(0, len(names), MAX_NAMES):
            await self._limit_time(self._backend.delete(names[start : start + MAX_NAMES]))

    async def list(self, after: str = "") -> AsyncGenerator[BodyEntry, None]:
        """Yield all bodies in the order of their names, from the first one after `after`."""
        pages = aiter(self._backend.pages(after))
        while (page := await self._limit_time(anext(pages, None))) is not None:
            for entry in page:
                if _NAME.fullmatch(entry.name):
                    yield entry

    async def first(self, most: int, after: str = "") -> Sequence[BodyEntry]:
        """Return the first bodies after `after`, in the order of their names; fewer are all."""
        entries = []
        async with contextlib.aclosing(self.list(after)) as listing:
            async for entry in listing:
                entries.append(entry)
                if len(entries) == most:
                    break
        return entries

    async def origin(self, name: str) -> BodyOrigin:
        """Return the origin that is stored with a body. Raises MissingBodyError."""
        return await self._limit_time(self._backend.origin(name))

    async def probe(self) -> Sequence[str]:
        """Try everything once with an object of its own, and return the problems in English."""
        name = new_name()
        try:
            problems = await self._try(name)
        except StoreError as error:
            return [str(error)]
        finally:
            with contextlib.suppress(StoreError):
                await self.delete([name])
        return problems

    async def _try(self, name: str) -> Sequence[str]:
        content = b"Subject: a probe of Restante\r\n\r\n"
        await self.put(name, content, owner="probe@localhost")
        written = datetime.now(UTC)
        problems = []
        if await self.get(name) != content:
            problems.append("the object store returns other octets than those that were written")
        if (await self.origin(name)).owner != "probe@localhost":
            problems.append("the object store does not keep metadata, which a repair requires")
        entry = next(iter(await self.first(1, after=_before(name))), None)
        if entry is None or entry.name != name:
            problems.append("the object store does not list an object that was just written")
        elif (apart := abs((entry.modified - written).total_seconds())) > CLOCK_DIFFERENCE:
            problems.append(
                f"the clocks of this node and of the object store differ by {apart:.0f} seconds;"
                " let NTP set both"
            )
        problems += await self._limit_time(self._backend.problems(name, content))
        await self.delete([name])
        with contextlib.suppress(MissingBodyError):
            await self.get(name)
            problems.append("the object store returns an object that was deleted")
        return problems

    async def _limit_time(self, work: Awaitable[T], octets: int = 0) -> T:
        """Return the result of a call to the backend, within its time limit."""
        limit = self._patience + octets / SLOWEST
        try:
            async with asyncio.timeout(limit):
                return await work
        except TimeoutError:
            text = f"the object store did not answer in {limit:.0f} seconds"
            raise StoreError(f"{text}; check its load, its disks and the network") from None


class BodyChunks:
    """A long body. Each chunk is one request, so that a slow client holds no connection."""

    def __init__(
        self, read: Callable[[int], Awaitable[bytes]], first: bytes, octets: int, name: str
    ) -> None:
        self._read = read
        self._next: bytes | None = first
        self._octets = octets
        self._name = name
        self._place = 0

    def __aiter__(self) -> BodyChunks:
        return self

    async def __anext__(self) -> bytes:
        chunk, self._next = self._next, None
        if self._place == self._octets:
            raise StopAsyncIteration
        if chunk is None:
            chunk = await self._read(self._place)
        if not chunk:
            raise StoreError("the body of a message ends too early", path=self._name)
        self._place += len(chunk)
        return chunk

    async def aclose(self) -> None:
        """Do nothing: between two chunks, nothing is open."""
        self._place = self._octets


def _before(name: str) -> str:
    """Return a name that is just before another one in their order."""
    return name[:-1] + chr(ord(name[-1]) - 1) + "~"


def _backend(url: str, secret: Secret | None) -> ObjectBackend:
    if url.startswith("/"):
        from restante.storage.cluster.object_folder import ObjectFolder

        return ObjectFolder(url)
    try:
        from restante.storage.cluster.object_store import ObjectStore
    except ImportError as error:
        hint = "pip install 'restante[cluster]'"
        raise ValueError(f"object storage requires {error.name}; {hint}") from error
    return ObjectStore(url, secret)


def connect_bodies(settings: ClusterSettings) -> ObjectBodies:
    """Return the bodies in the object store of a cluster. Raises StoreError: it is a mistake."""
    try:
        return ObjectBodies(settings.objects, settings.objects_secret, patience=settings.patience)
    except ValueError as error:
        raise StoreError(f"cluster.objects: {error}", permanent=True) from error
