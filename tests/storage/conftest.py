"""For the tests of every store."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from support.process import reserved


@pytest.fixture(autouse=True)
def no_descriptor_is_left_open() -> Iterator[None]:
    before = _descriptors()
    yield
    assert _descriptors() <= before, "the test, or its store, leaves descriptors open"


def _descriptors() -> int:
    """Return how many are open, but for those that reserve ports until the end of the process."""
    return len(os.listdir("/proc/self/fd")) - len(reserved)
