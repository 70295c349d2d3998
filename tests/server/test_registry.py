"""Live connections, and how they end."""

from __future__ import annotations

import asyncio
import math

from restante.server.registry import ConnectionRegistry


class Client:
    """A connection that ends when it is stopped, or else when it is aborted, or never."""

    def __init__(self, registry: ConnectionRegistry[Client], ends_at: str) -> None:
        self.deadline = math.inf
        self.seen: list[str] = []
        self._registry = registry
        self._ends_at = ends_at
        registry.add(self)

    def on_timeout(self) -> None:
        self._note("timeout")

    def stop(self) -> None:
        self._note("stop")

    def abort(self) -> None:
        self._note("abort")

    def _note(self, event: str) -> None:
        self.seen.append(event)
        if event == self._ends_at:
            self._registry.remove(self)


def test_stop() -> None:
    """All connections are stopped, and only those that do not end in time are aborted."""

    async def stop() -> tuple[Client, Client]:
        registry: ConnectionRegistry[Client] = ConnectionRegistry()
        quick, slow = Client(registry, "stop"), Client(registry, "abort")
        await registry.stop(0)
        assert not registry
        assert registry.stopping
        return quick, slow

    quick, slow = asyncio.run(stop())
    assert quick.seen == ["stop"]
    assert slow.seen == ["stop", "abort"]


def test_cancelled_stop() -> None:
    """A stop that is cancelled aborts all connections, and then ends."""

    async def stop() -> Client:
        registry: ConnectionRegistry[Client] = ConnectionRegistry()
        slow = Client(registry, "abort")
        stopping = asyncio.create_task(registry.stop(3600))
        await asyncio.sleep(0)
        stopping.cancel()
        await asyncio.wait([stopping])
        assert stopping.cancelled()
        return slow

    assert asyncio.run(stop()).seen == ["stop", "abort"]


def test_drain() -> None:
    """A drain ends with the last connection, or after its time."""

    async def drain() -> None:
        registry: ConnectionRegistry[Client] = ConnectionRegistry()
        await registry.drain(3600)
        client = Client(registry, "never")
        await registry.drain(0)
        assert list(registry) == [client]
        asyncio.get_running_loop().call_soon(registry.remove, client)
        await registry.drain(3600)
        assert not registry

    asyncio.run(drain())


def test_background_work() -> None:
    """Work that no connection waits for ends before the registry stops."""
    done = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append("work")

    async def stop() -> None:
        registry: ConnectionRegistry[Client] = ConnectionRegistry()
        task = registry.spawn(work())
        assert registry.background == {task}
        await registry.stop(0)
        assert done == ["work"]
        assert not registry.background

    asyncio.run(stop())
