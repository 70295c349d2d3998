"""For the tests of the cluster store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from restante.protocol.secret import Secret
from support.cluster import Cluster
from support.s3 import S3, moto


@pytest.fixture
def no_descriptor_is_left_open() -> None:
    """The database's pool and obstore's threads live longer than a test."""


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    with moto() as server:
        yield server


@pytest.fixture
def dsn(cluster: Cluster) -> Secret:
    """A database with the tables of the store, which are empty."""
    return cluster.clean_database()


@pytest.fixture
def own_dsn(cluster: Cluster) -> Iterator[Secret]:
    """The same, for a test that changes the tables themselves."""
    made = cluster.new_database()
    yield made
    cluster.drop(made)
