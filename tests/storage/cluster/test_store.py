"""The store of a cluster, on a PostgreSQL which the tests start."""

from __future__ import annotations

import pytest

from restante.protocol.secret import Secret
from restante.storage.interfaces import Store
from storage.contract import *  # noqa: F403
from support.cluster import SelfOpeningStore, settings


@pytest.fixture
def store(dsn: Secret) -> Store:
    return SelfOpeningStore(settings(dsn))
