"""Fixtures of the tests that change an issuer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.issuer import Issuer, running_issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer of OAuth tokens for one test."""
    with running_issuer() as made:
        yield made
