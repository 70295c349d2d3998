"""The judge: from what a client left behind to a verdict."""

from __future__ import annotations

from typing import Any

import pytest

from restante.misbehave import FAULTS, Fault
from restante.misbehave.driver import SAMPLES
from restante.misbehave.fault import ALL, NO_PASSWORD
from restante.misbehave.score.judge import VERDICTS, RunEvidence, judge

NOTHING_WRONG = Fault(name="none", sentence="does nothing wrong", good_client=ALL)
BOTH = {"a": SAMPLES[0], "b": SAMPLES[1]}
HALF = SAMPLES[0].partition(b"END-1")[0]


def verdicts(fault: Fault = NOTHING_WRONG, **left: Any) -> list[str]:
    """Return the verdicts on what was left at a fault."""
    left = {"given": SAMPLES, "removed": SAMPLES, "stored": BOTH} | left
    return [finding.verdict for finding in judge(fault, RunEvidence(**left))]


def test_clean() -> None:
    """Both stored, both removed, exit 0."""
    assert verdicts() == []


@pytest.mark.parametrize(
    ("expected", "left"),
    [
        (["LOST", "SILENT"], {"stored": {"a": SAMPLES[0]}}),
        (["LOST", "HALF"], {"stored": {"a": HALF, "b": SAMPLES[1]}}),
        (["HALF"], {"removed": (), "stored": {"a": HALF, "b": SAMPLES[1]}}),
        (["ESCAPED"], {"outside": ["/tmp/evil1"]}),
        (["HANG"], {"exit": None}),
        (["HANG"], {"exit": -25}),
        (["HANG"], {"exit": 128 + 25}),
        (["CRASH"], {"exit": -11}),
        (["CRASH"], {"exit": 128 + 13}),
        (["CRASH"], {"exit": 1, "output": b"Traceback (most recent call last):\n ..\nKeyError"}),
        (["SILENT"], {"stored": {}, "removed": ()}),
        (["MISSED"], {"stored": {"a": SAMPLES[0]}, "removed": (), "exit": 1}),
        (["GAVE UP"], {"stored": {}, "removed": (), "exit": 1}),
        (["GAVE UP"], {"exit": 1}),
        (["RAW-ESC"], {"output": b"error: \x1b[2J"}),
    ],
)
def test_each_verdict(expected: list[str], left: dict[str, Any]) -> None:
    """Each verdict follows from what was left, and the worst comes first."""
    assert verdicts(**left) == expected


def test_order() -> None:
    """The findings are in the order of VERDICTS."""
    found = verdicts(stored={"a": HALF}, outside=["x"], exit=None)
    order: list[str] = list(VERDICTS)
    assert found == sorted(found, key=order.index)
    assert found[0] == "LOST"


def test_fault_that_the_client_got_over() -> None:
    """A client that fetches all in a second session is clean, though an error was expected."""
    assert verdicts(FAULTS["retr-cut-2"]) == []
    assert verdicts(FAULTS["quit-refused"], removed=()) == ["SILENT"]


def test_leak_in_clear_text() -> None:
    """A password in clear text leaks if the client must use TLS, and only then."""
    injection = FAULTS["stls-injection"]
    assert verdicts(injection, leaked=True) == ["LEAK"]
    assert verdicts(leaked=True) == []


def test_leak_under_tls() -> None:
    """A password for a server with a false certificate leaks under TLS, too."""
    fault = FAULTS["tls-expired"]
    assert fault.good_client == NO_PASSWORD
    left: dict[str, Any] = {"stored": {}, "removed": (), "exit": 1}
    assert verdicts(fault, **left, commands=["USER joe", "PASS secret"]) == ["LEAK"]
    assert verdicts(fault, **left, commands=["AUTH CRAM-MD5"]) == []


def test_silent() -> None:
    """Exit 0 is wrong where a good client reports an error, though nothing is missing."""
    second = {"b": SAMPLES[1]}
    refused = FAULTS["retr-refused"]
    assert verdicts(refused, stored=second, removed=SAMPLES[1:]) == ["SILENT"]
    assert verdicts(refused, stored=second, removed=SAMPLES[1:], exit=1) == []


def test_missed_though_all_may_fail() -> None:
    """A client that fetches nothing for one refused message has missed the other."""
    refused = FAULTS["retr-refused"]
    assert verdicts(refused, stored={}, removed=(), exit=1) == ["MISSED"]


def test_one_file() -> None:
    """An mbox with both messages holds both, quoted or with other line ends."""
    mbox = b"From joe\n" + b"\n>From x\n".join(SAMPLES).replace(b"\r\n", b"\n")
    assert verdicts(stored={"inbox": mbox}) == []
    assert verdicts(stored={"inbox": HALF + SAMPLES[1]}) == ["LOST", "HALF"]


def test_a_hole() -> None:
    """A message without its middle is a part."""
    hole = SAMPLES[0].replace(b"Nothing is wrong with this line.\r\n", b"", 1)
    assert verdicts(stored={"a": hole, "b": SAMPLES[1]}) == ["LOST", "HALF"]


def test_a_header_alone() -> None:
    """A header without its message is a part, too."""
    header = SAMPLES[0].partition(b"\r\n\r\n")[0]
    assert verdicts(FAULTS["retr-cut"], stored={"a": header}, removed=(), exit=1) == ["HALF"]


def test_an_empty_message() -> None:
    """An empty message has no number, and cannot be lost."""
    fault = FAULTS["retr-empty"]
    given = (b"", SAMPLES[1])
    assert verdicts(fault, given=given, removed=given, stored={"b": SAMPLES[1]}) == []


def test_copies() -> None:
    """Of messages with one number each copy counts."""
    given = (SAMPLES[0], SAMPLES[0])
    assert verdicts(given=given, removed=given, stored={"a": SAMPLES[0]}) == ["LOST", "SILENT"]
    assert verdicts(given=given, removed=given, stored={"a": given[0], "b": given[1]}) == []
