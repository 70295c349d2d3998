"""Stores and accounts that fail, or take their time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence

from restante.protocol.secret import Secret
from restante.protocol.server.maildrop import MessageList
from restante.protocol.server.needs import Body
from restante.protocol.server.settings import Identity
from restante.storage.interfaces import LockedMaildrop
from restante.storage.memory import MemoryStore


class Chunks:
    """A body in chunks, after which comes an error."""

    def __init__(self, chunks: Sequence[bytes], error: Exception | None = None) -> None:
        self._chunks = chunks
        self._error = error
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._error:
            raise self._error

    async def aclose(self) -> None:
        self.closed = True


class ScriptedStore(MemoryStore):
    """A store in memory in which a step can be made to fail, to wait, or to give something else."""

    def __init__(self) -> None:
        super().__init__()
        self.acquire_error: BaseException | None = None
        self.read_error: BaseException | None = None
        self.remove_error: BaseException | None = None
        self.body: Body | Awaitable[Body] | None = None
        self.gate: asyncio.Event | None = None  # removal waits for it
        self.removing = False

    async def acquire(self, owner: str, patience: float) -> LockedMaildrop:  # type: ignore[override]
        if self.acquire_error:
            raise self.acquire_error
        return ScriptedMaildrop(self, await super().acquire(owner, patience))


class ScriptedMaildrop:
    def __init__(self, store: ScriptedStore, inner: LockedMaildrop) -> None:
        self._store = store
        self._inner = inner

    @property
    def contents(self) -> MessageList:
        return self._inner.contents

    def read(self, index: int, lines: int | None = None) -> Body | Awaitable[Body]:
        if self._store.read_error:
            raise self._store.read_error
        return self._store.body or self._inner.read(index, lines)

    async def remove(self, indexes: Sequence[int]) -> None:
        self._store.removing = True
        if self._store.gate:
            await self._store.gate.wait()
        if self._store.remove_error:
            raise self._store.remove_error
        await self._inner.remove(indexes)

    async def correct_sizes(self, sizes: Mapping[int, int]) -> None:
        await self._inner.correct_sizes(sizes)

    def release(self) -> None:
        self._inner.release()


class SlowAccounts:
    """Accounts that accept every login, once a gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked = False

    async def verify(self, user: str, password: Secret) -> Identity:
        self.asked = True
        await self.gate.wait()
        return Identity(user)
