"""The common part of imports, exports and moves. Runs over many users: test_importing.py."""

from __future__ import annotations

import pytest

from restante.storage.cluster.transfer import transfer


def test_batches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch has a limit of octets and messages, but at least one message; the order stays."""
    monkeypatch.setattr(transfer, "MAX_MESSAGES", 3)
    sizes = [1, 1, 1, 1, 50, 20, 5, 5, 5, 16]
    rows = [{"number": number, "stored": size} for number, size in enumerate(sizes)]
    found = list(transfer.batches(rows, 20))
    assert [row for batch in found for row in batch] == rows
    assert [[row["stored"] for row in batch] for batch in found] == [
        [1, 1, 1], [1], [50], [20], [5, 5, 5], [16]
    ]  # fmt: skip
