"""Fixtures and rules of all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from support.other_user import command_for_nobody, public_folder

if TYPE_CHECKING:
    from support.cluster import Cluster
    from support.issuer import Issuer
    from support.token_server import TokenServer

# A shell starts background jobs with SIGINT ignored, and their children inherit that.
# With a handler here, the programs that the tests start get SIGINT's default back.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The tests start Restante hundreds of times. Without bytecode it would be compiled each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# No example fails because the machine is slow.
settings.register_profile(
    "any speed",
    settings.default,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any speed")

TICK = 1_800_000_000


@pytest.fixture
def one_tick(monkeypatch: pytest.MonkeyPatch) -> float:
    """Give all files one time, as a disk of whole seconds does, and return it since 1970."""
    real = os.stat

    def stat(*args: Any, **options: Any) -> os.stat_result:
        fields = list(real(*args, **options))
        times = dict.fromkeys(("st_mtime", "st_ctime"), float(TICK))
        times |= dict.fromkeys(("st_mtime_ns", "st_ctime_ns"), TICK * 10**9)
        return os.stat_result(fields, times)

    monkeypatch.setattr(os, "stat", stat)
    return TICK + 0.5


@pytest.fixture(scope="session")
def pop3_for_nobody() -> Iterator[Path]:
    """The command `pop3`, for programs that run as the user `nobody`."""
    with public_folder() as folder:
        yield command_for_nobody(folder / "python")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL for all tests of the cluster store."""
    from support.cluster import running_cluster  # few tests need its libraries

    with running_cluster() as made:
        yield made


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """An issuer of OAuth tokens."""
    from support.issuer import running_issuer

    with running_issuer() as made:
        yield made


@pytest.fixture(scope="module")
def token_server(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[TokenServer]:
    """A server that accepts the tokens of the issuer, with mail of ann and of shared."""
    from support.token_server import token_serving

    with token_serving(tmp_path_factory.mktemp("token"), issuer, "ann", "shared") as made:
        yield made
