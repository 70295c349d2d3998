"""An address with many logins does not delay the hashes of others."""

from __future__ import annotations

import asyncio

from restante.auth.fair_queue import FairQueue


def test_origins_take_turns() -> None:
    """Of many that wait from one origin only one is before the first one from another."""
    order: list[str] = []

    async def one(queue: FairQueue, origin: str) -> None:
        async with queue.turn(origin):
            order.append(origin)
            await asyncio.sleep(0)

    async def many() -> None:
        queue = FairQueue(1)
        crowd = [asyncio.create_task(one(queue, "192.0.2.1")) for _ in range(50)]
        await asyncio.sleep(0)
        await one(queue, "198.51.100.1")
        await asyncio.gather(*crowd)

    asyncio.run(many())
    assert order.index("198.51.100.1") <= 2
    assert len(order) == 51


def test_turns_of_the_cancelled() -> None:
    """No turn is lost, whenever waiting tasks are cancelled."""

    async def many() -> None:
        queue = FairQueue(2)
        at_once: list[int] = []
        inside = 0

        async def one() -> None:
            nonlocal inside
            async with queue.turn("192.0.2.1"):
                inside += 1
                at_once.append(inside)
                await asyncio.sleep(0)
                inside -= 1

        for steps in range(6):
            tasks = [asyncio.create_task(one()) for _ in range(9)]
            for _ in range(steps):
                await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            inside = 0  # the cancelled ones did not count themselves out
            at_once.clear()
            await asyncio.wait_for(asyncio.gather(*(one() for _ in range(9))), 20)
            assert max(at_once) == 2

    asyncio.run(many())
