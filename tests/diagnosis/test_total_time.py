"""Whose time it is: the server's, the person's at the prompt, or the limit that was set."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from restante.diagnosis.request import MAX_DEEP, TOTAL
from restante.misbehave.changes import in_sessions
from restante.misbehave.conversation import ReplyParts
from restante.misbehave.rules import on, parse_rules
from support.check_request import ANN, ask, server_of
from support.faulty_server import HELLO, PASSWORD


class Clock:
    """Time that can be made to pass at once, for the thread of the test: not for the server."""

    def __init__(self) -> None:
        self.passed = 0.0
        self._real = time.monotonic
        self._thread = threading.get_ident()

    def now(self) -> float:
        return self._real() + (self.passed if threading.get_ident() == self._thread else 0)

    def pass_by(self, seconds: float) -> None:
        self.passed += seconds

    def type_for(self, seconds: float) -> str:
        self.passed += seconds
        return PASSWORD


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.now)
    monkeypatch.setattr(time, "sleep", clock.pass_by)
    return clock


def test_who_types_slowly_is_no_silence_of_the_server(clock: Clock) -> None:
    """The time at the password prompt does not count."""
    with server_of(()) as running:
        report = ask(running.port, password=lambda: clock.type_for(300))
    assert report.id == "ok"
    assert report.seconds < 300


def test_slow_typing_reconnects(clock: Clock) -> None:
    """After a long wait for the password the session is opened again."""
    with server_of(()) as running:
        assert ask(running.port, password=lambda: clock.type_for(60)).id == "ok"
    assert running.commands[:3] == ["CAPA", "CAPA", f"USER {ANN}"]


def test_one_connection_suffices() -> None:
    """With a password at hand, one connection suffices."""
    with server_of(()) as running:
        assert ask(running.port).id == "ok"
    assert running.commands[:2] == ["CAPA", f"USER {ANN}"]


@pytest.mark.parametrize("command", ["USER", "PASS", "STAT", "CAPA"])
def test_the_own_limit_has_a_name_of_its_own(command: str) -> None:
    """The end of the check's own time has its own verdict."""
    with server_of(f"{command}: silence") as running:
        report = ask(running.port, options={"total_seconds": 1, "reply_seconds": 20})
    assert (report.id, report.exit_code) == ("out-of-time", 4)
    assert report.failure is not None
    assert "the time limit of 1 s has passed" in report.failure.evidence


def test_the_wait_that_was_asked_for_is_not_slowness(clock: Clock) -> None:
    """The wait for a locked maildrop does not make the login slow."""
    busy = parse_rules("PASS: -ERR [IN-USE] busy")
    with server_of(in_sessions(busy, lambda number: number < 3)) as running:
        report = ask(running.port, wait=60)
    assert clock.passed
    assert (report.id, report.exit_code) == ("ok", 0)
    step = next(step for step in report.steps if step.phase == "login")
    assert ("waited", "9 s for the mailbox lock") in step.details


def test_untried_address_not_blamed(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that was not tried, for lack of time, is not reported as failing."""
    from restante.client import name_resolution

    def slow_names(*_: object) -> list[str]:
        clock.pass_by(60)
        return ["127.0.0.1"]

    monkeypatch.setattr(name_resolution, "addresses", slow_names)
    assert ask(1).id == "out-of-time"


def test_a_deep_check_ends_with_the_time_that_was_set() -> None:
    """The sizes in LIST give no more time than was asked for."""
    with server_of(("retr-stall", "LIST: with 1 200000000"), messages=(HELLO,)) as running:
        times = {"total_seconds": 1, "reply_seconds": 9}
        report = ask(running.port, deep=True, limited=True, options=times)
    assert report.id == "out-of-time"
    assert report.failure is not None
    assert "of 200000000 octets of message 1 were received" in report.failure.evidence


def test_time_of_a_deep_check_is_bounded(clock: Clock) -> None:
    """A mailbox that names endless octets gives an hour more, and no message of them is fetched."""

    def pass_by(reply: ReplyParts) -> ReplyParts:
        clock.pass_by(TOTAL + MAX_DEEP + 1)
        return replace(reply, body=b"", end=b"")

    with server_of((on("RETR", pass_by), "LIST: with 1 999999999999999")) as running:
        report = ask(running.port, deep=True, options={"total_seconds": TOTAL})
        assert "RETR 1" not in running.commands
    assert report.id == "out-of-time"
    assert "msg-large" in {warning.id for warning in report.warnings}
