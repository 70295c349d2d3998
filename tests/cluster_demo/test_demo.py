"""The demonstration of a cluster, and the judgement in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster_demo.load import Ledger, identify, judge
from support.postgresql import need_postgresql
from support.programs import need
from support.s3 import need_moto

DEMO = Path(__file__).with_name("demo.py")


def test_node_dies_under_load() -> None:
    """A node is killed under load: nothing is lost, and its users can log in after the lease."""
    need_postgresql()
    need_moto()
    need("haproxy")
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        [sys.executable, DEMO, "--short"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kill -9 of node1, in the middle of its sessions" in done.stdout
    assert done.stdout.endswith(
        "\nNothing was lost: every message that was not removed is there, unchanged.\n"
    )


def post(ledger: Ledger) -> bytes:
    """Deliver a letter to Ann, and return its digest."""
    name, body = ledger.post("ann", 100)
    letter = ledger.letters[name]
    letter.tries, letter.delivered = 1, True
    assert identify([b"Received: by this server", *body.splitlines()]) == (name, letter.digest)
    return letter.digest


@pytest.mark.parametrize(
    ("removed", "found", "wrong"),
    [
        (False, 1, []),
        (True, 0, []),
        (False, 0, ["letter 0 of ann is lost"]),
        (True, 1, ["letter 0 of ann is there again, or twice"]),
        (False, 2, ["letter 0 of ann is there again, or twice"]),
    ],
)
def test_judgement(*, removed: bool, found: int, wrong: list[str]) -> None:
    """A letter that was delivered and not removed must be there, once."""
    ledger = Ledger()
    digest = post(ledger)
    ledger.letters["0"].removed = removed
    assert judge(ledger, {"0": [digest] * found}) == wrong


def test_judgement_of_contents() -> None:
    """A letter must be as it was sent."""
    ledger = Ledger()
    post(ledger)
    assert judge(ledger, {"0": [b"another digest"]}) == ["letter 0 of ann has changed"]


def test_judgement_of_doubts() -> None:
    """A QUIT without a reply removes all that it was to remove, or nothing."""
    ledger = Ledger()
    digests = {str(number): [post(ledger)] for number in range(2)}
    for letter in ledger.letters.values():
        letter.doubtful = True
    ledger.doubts.append(["0", "1"])
    assert judge(ledger, digests) == judge(ledger, {}) == []
    assert judge(ledger, {"0": digests["0"]}) == [
        "a QUIT without a reply removed only a part: letters ['0', '1']"
    ]


def test_letter_that_was_sent_again() -> None:
    """A letter without a reply is sent again, and may be there twice: RFC 1047."""
    ledger = Ledger()
    digest = post(ledger)
    ledger.letters["0"].tries = 2
    assert judge(ledger, {"0": [digest] * 2}) == []
    assert judge(ledger, {"0": [digest] * 3}) == ["letter 0 of ann is there again, or twice"]
