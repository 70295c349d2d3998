"""The turn of a node: of several with one store, one does the next round of a recurring task."""

from __future__ import annotations

from restante.storage.interfaces import ClaimsRounds

SHARE = 0.9  # of the pause, so that the node of the last round is not a moment too early


async def claim_round(store: object, task: str, pause: float) -> bool:
    """Return whether this node does the next round of a task, which has one each `pause` seconds.

    Raises StoreError.
    """
    return not isinstance(store, ClaimsRounds) or await store.claim_round(task, pause * SHARE)
