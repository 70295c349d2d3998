"""The store of a cluster, on a PostgreSQL which the tests start."""

from __future__ import annotations

import itertools

import pytest

from restante.protocol.secret import Secret
from restante.storage.interfaces import Store
from storage.contract import *  # noqa: F403
from support.cluster import SelfOpeningStore, settings
from support.s3 import S3

_buckets = itertools.count(1)


@pytest.fixture(params=["postgresql", "s3"])
def store(request: pytest.FixtureRequest, dsn: Secret) -> Store:
    """Bodies in PostgreSQL alone, or small ones there and others in S3."""
    if request.param == "postgresql":
        return SelfOpeningStore(settings(dsn))
    s3: S3 = request.getfixturevalue("s3")
    objects = s3.make_bucket(f"store-{next(_buckets)}")
    return SelfOpeningStore(settings(dsn, objects=objects, objects_secret=s3.secret, inline=8))
