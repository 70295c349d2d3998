"""Nodes that are cut off, in networks of their own; with `make cluster-faults`."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest

from faults.cluster.network import need_networks
from faults.cluster.partition import Outcome
from support.postgresql import need_postgresql
from support.s3 import need_moto

pytestmark = pytest.mark.skipif(
    "RESTANTE_CLUSTER_FAULTS" not in os.environ, reason="runs with make cluster-faults"
)


def test_a_node_that_is_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is cut off from a node, nothing is lost, answers are true, and it serves again."""
    need_networks()
    need_postgresql()
    need_moto()
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "faults.cluster.partition"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    found = msgspec.json.decode(done.stdout, type=Outcome)
    with capsys.disabled():
        print(f"\npartitions: {found}")  # noqa: T201  # how much was tried is what this proves
    assert found.wrong == []
