"""For the tests of `pop3 store`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from restante.protocol.secret import Secret
from support.cluster import Cluster


@pytest.fixture
def dsn(cluster: Cluster) -> Iterator[Secret]:
    """A database with the tables of the store."""
    made = cluster.new_database()
    yield made
    cluster.drop(made)
