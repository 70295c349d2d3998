"""A flood writes a bounded number of lines, and the log says how many it left out."""

from __future__ import annotations

import io
import re
from collections import Counter

import pytest
from structlog.typing import EventDict

from restante.server.limits.failures import Failures
from restante.server.limits.shared_table import SharedTimestamps
from restante.server.log import event_log
from restante.server.log import rate as log_rate
from restante.server.log.rate import LIMITED, MAX_EACH, MAX_TOTAL, MINUTE, LogRate
from support.clocked_server import clocked


class Rate:
    """A rate on a clock that a test moves, and what it wrote of lines that were left out."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.told: list[EventDict] = []
        self.table = Failures()
        self.rate = LogRate(self.told.append, lambda: self.now, self.table)

    def lines(self, event: str, address: str, times: int, user: str = "") -> int:
        """Return how many of this many events are written."""
        return sum(self.passes(event, address, user) for _ in range(times))

    def passes(self, event: str, address: str, user: str) -> bool:
        return self.rate.allows({"event": event, "address": address, "user": user})


@pytest.fixture
def rate() -> Rate:
    return Rate()


@pytest.mark.parametrize("event", sorted(LIMITED))
def test_flood_of_one_address(rate: Rate, event: str) -> None:
    """Of one address, a bounded number of lines a minute is written; the rest is counted."""
    assert rate.lines(event, "192.0.2.1", 1000) == MAX_EACH
    assert rate.lines(event, "192.0.2.2", 10) == 10
    rate.now += MINUTE
    assert rate.lines(event, "192.0.2.1", 1) == 1
    left_out = {"lines_left_out": 700, "of": event, "address": "192.0.2.1"}
    assert rate.told == [left_out]


def test_one_customer_of_ipv6(rate: Rate) -> None:
    """The addresses of one /64 count as one."""
    written = sum(rate.lines("session", f"2001:db8::{n:x}", 1) for n in range(1000))
    assert written == MAX_EACH


def test_several_processes() -> None:
    """Processes that share a log share the rate, and each says how many lines it left out."""
    told: list[EventDict] = []
    now, table = 1000.0, SharedTimestamps(64)
    rates = [LogRate(told.append, lambda: now, table) for _ in range(2)]
    event = {"event": "session", "address": "192.0.2.1"}
    written = sum(rates[number % 2].allows(dict(event)) for number in range(1000))
    assert written == MAX_EACH
    now += MINUTE
    assert all(rate.allows(dict(event)) for rate in rates)
    assert [line["lines_left_out"] for line in told] == [350, 350]


def test_many_addresses(rate: Rate) -> None:
    """All addresses together have a bound, in lines and in memory, and the sum is exact."""
    sent = MAX_TOTAL + 5000
    lines = [
        rate.lines("session", f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 1) for n in range(sent)
    ]
    assert sum(lines) == MAX_TOTAL
    assert len(rate.table) <= MAX_TOTAL + len(LIMITED)
    rate.rate.begin_anew()
    assert sum(event["lines_left_out"] for event in rate.told) == 5000
    assert len(rate.told) <= log_rate.MAX_COUNTED + len(LIMITED)


def test_sessions_with_a_login(rate: Rate) -> None:
    """A session that logged in always has its line, and so has every other event."""
    assert rate.lines("session", "192.0.2.1", 1000, user="ann") == 1000
    assert rate.lines("delivered", "192.0.2.1", 1000) == 1000


@pytest.fixture
def long_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """No minute of the machine's clock begins during the test."""
    monkeypatch.setattr(log_rate, "MINUTE", 1e12)


@pytest.mark.usefixtures("long_minute")
def test_served_flood() -> None:
    """The log of a server keeps the bound."""
    with clocked() as server:
        for _ in range(MAX_EACH + 5):
            server.connect(address="127.0.0.1").say(b"USER ann\r\nPASS wrong\r\nQUIT\r\n")
    assert Counter(re.findall(r"event=(session|login_failed)", server.log.getvalue())) == {
        "session": MAX_EACH, "login_failed": MAX_EACH,
    }  # fmt: skip


@pytest.mark.usefixtures("long_minute")
@pytest.mark.parametrize("form", ["text", "json"])
def test_told_at_the_end(form: event_log.Format) -> None:
    """The count of dropped lines is written before the log is closed."""
    log, writer = event_log.configure_log(form, lines := io.StringIO())
    for _ in range(MAX_EACH + 3):
        log.warning("login_failed", address="192.0.2.1", user="ann")
    writer.close()
    written = lines.getvalue().splitlines()
    assert len(written) == MAX_EACH + 1
    assert "lines_left_out" in written[-1]
    assert "192.0.2.1" in written[-1]
