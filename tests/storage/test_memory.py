"""The store in memory."""

from __future__ import annotations

import pytest

from restante.storage.interfaces import Store
from restante.storage.memory import MemoryStore
from storage.contract import *  # noqa: F403


@pytest.fixture
def store() -> Store:
    return MemoryStore()
