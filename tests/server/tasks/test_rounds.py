"""The turn of a node in a recurring task."""

from __future__ import annotations

import asyncio

from restante.server.tasks.rounds import claim_round


class SharedStore:
    """A store of several nodes, which grants the first round alone."""

    def __init__(self) -> None:
        self.claims: list[tuple[str, float]] = []

    async def claim_round(self, task: str, seconds: float) -> bool:
        self.claims.append((task, seconds))
        return len(self.claims) == 1


def test_a_store_of_one_node_has_each_round() -> None:
    """No other node could do it."""
    assert asyncio.run(claim_round(object(), "expire", 3600))


def test_nodes_claim_a_round_a_little_before_it_is_due() -> None:
    """Else the node of the last round would lose each second one by a moment."""
    store = SharedStore()
    assert asyncio.run(claim_round(store, "expire", 3600))
    assert not asyncio.run(claim_round(store, "expire", 3600))
    assert store.claims == [("expire", 3240)] * 2
