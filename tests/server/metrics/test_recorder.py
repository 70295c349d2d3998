"""Events of the log become numbers."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from restante.server.metrics import catalogue as metrics
from restante.server.metrics.catalogue import MetricSpec
from restante.server.metrics.memory import MetricMemory
from restante.server.metrics.recorder import Recorder

TESTS = Path(__file__).parents[2]
LOG_PAGE = TESTS.parent / "docs" / "reference" / "log.md"
LOGIN = {
    "level": "info",
    "event": "login",
    "method": "password",
    "tls": "TLSv1.3 TLS_AES",
    "session": "a",
}
SESSION = {
    "level": "info", "event": "session", "end": "quit", "octets_in": 10, "octets_out": 20,
    "retrieved": 3, "deleted": 2, "seconds": 1.5, "session": "a",
}  # fmt: skip


class Ticks:
    """A clock that goes on by a quarter of a second at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(MetricMemory(), clock=Ticks())


def test_session(recorder: Recorder) -> None:
    """A session counts as open from its login to its end, and then with all that it did."""
    read = recorder.memory.read
    recorder.note_event(LOGIN)
    assert read(metrics.SESSIONS) == 1
    assert read(metrics.LOGINS, "pop3", "password", "TLSv1.3") == 1
    recorder.note_event(SESSION)
    assert read(metrics.SESSIONS) == 0
    assert read(metrics.CONNECTIONS, "quit") == 1
    assert [read(each) for each in (metrics.RETRIEVED, metrics.DELETED)] == [3, 2]
    assert [read(each) for each in (metrics.RECEIVED_BYTES, metrics.SENT_BYTES)] == [10, 20]
    assert recorder.memory.read_distribution(metrics.SESSION_SECONDS).total == 1.5


def test_login_of_a_mail_server(recorder: Recorder) -> None:
    """A login at the socket for mail servers counts as a login, and opens no session."""
    recorder.note_event({**LOGIN, "service": "smtp", "tls": ""})
    assert recorder.memory.read(metrics.LOGINS, "smtp", "password", "none") == 1
    assert recorder.memory.read(metrics.SESSIONS) == 0


def test_connection_without_a_login(recorder: Recorder) -> None:
    """A connection without a login does not count as a session."""
    recorder.note_event({**SESSION, "end": "timeout"})
    assert recorder.memory.read(metrics.CONNECTIONS, "timeout") == 1
    assert recorder.memory.read(metrics.SENT_BYTES) == 20
    assert recorder.memory.read(metrics.SESSIONS) == 0
    assert recorder.memory.read_distribution(metrics.SESSION_SECONDS).total == 0


EVENTS: list[tuple[dict[str, object], MetricSpec, tuple[str, ...], float]] = [
    ({"event": "login_failed", "method": "SCRAM", "reason": "SCRAM: invalid-proof"},
     metrics.LOGINS_FAILED, ("SCRAM", "SCRAM"), 1),
    ({"event": "login_failed", "method": "password", "reason": "a new one"},
     metrics.LOGINS_FAILED, ("password", "other"), 1),
    ({"event": "login_refused", "code": "IN-USE"}, metrics.LOGINS_REFUSED, ("IN-USE",), 1),
    ({"event": "login_refused", "code": ""}, metrics.LOGINS_REFUSED, ("other",), 1),
    ({"event": "trouble", "code": "SYS/TEMP"}, metrics.TROUBLE, ("SYS/TEMP",), 1),
    ({"event": "trouble", "code": "4.3.0"}, metrics.TROUBLE, ("4.3.0",), 1),
    ({"event": "incident"}, metrics.INCIDENTS, (), 1),
    ({"event": "delivered", "octets": 7, "seconds": 1}, metrics.DELIVERIES, ("250 2.0.0",), 1),
    ({"event": "delivered", "octets": 7, "seconds": 1}, metrics.DELIVERED_BYTES, (), 7),
    ({"event": "not_delivered", "reply": "452 4.2.2 full"}, metrics.DELIVERIES, ("452 4.2.2",), 1),
    ({"event": "not_taken", "reply": "550 5.1.1 no such"}, metrics.DELIVERIES, ("550 5.1.1",), 1),
    ({"event": "not_taken", "reply": "599 1.2.3 new"}, metrics.DELIVERIES, ("other",), 1),
    ({"event": "expired", "messages": 4}, metrics.EXPIRED, (), 4),
    ({"event": "not_reloaded"}, metrics.RELOADS_FAILED, (), 1),
    ({"event": "worker_ended"}, metrics.WORKER_RESTARTS, (), 0),
    ({"event": "worker_ended", "level": "error"}, metrics.WORKER_RESTARTS, (), 1),
    ({"event": "listening"}, metrics.LOG_EVENTS, ("info",), 1),
]  # fmt: skip


@pytest.mark.parametrize(("event", "metric", "labels", "number"), EVENTS)
def test_event(
    recorder: Recorder,
    event: dict[str, object],
    metric: MetricSpec,
    labels: tuple[str, ...],
    number: float,
) -> None:
    """Each event counts under the labels that its keys give."""
    recorder.note_event({"level": "info", **event})
    assert recorder.memory.read(metric, *labels) == number


def test_limits_and_lines(recorder: Recorder) -> None:
    """Limits, lost lines and events that were left out are counted."""
    recorder.note_limit("accept: Too many open files")
    recorder.note_lost_lines(3)
    recorder.note_left_out()
    assert recorder.memory.read(metrics.LIMITS_REACHED, "accept") == 1
    recorder.note_limit("auth_socket.connections")
    assert recorder.memory.read(metrics.LIMITS_REACHED, "auth_socket.connections") == 1
    assert recorder.memory.read(metrics.LOG_LINES_LOST) == 3
    assert recorder.memory.read(metrics.LOG_LINES_LEFT_OUT) == 1


def test_times(recorder: Recorder) -> None:
    """Slow work is measured, also if it fails; an immediate result counts as 0 seconds."""

    async def fail() -> str:
        raise OSError("no")

    async def measure() -> None:
        with pytest.raises(OSError, match="no"):
            await recorder.time_login(fail())

    assert recorder.time_open("at once", waits=False) == "at once"
    assert recorder.memory.read_distribution(metrics.LOCK_WAIT_SECONDS).counts[-1] == 0
    recorder.time_open("not yet", waits=True)
    assert recorder.memory.read_distribution(metrics.LOCK_WAIT_SECONDS).counts[-1] == 1
    asyncio.run(measure())
    assert recorder.memory.read_distribution(metrics.OPEN_SECONDS).counts[0] == 2
    assert recorder.memory.read_distribution(metrics.LOGIN_SECONDS).total == 0.25


def test_delivery(recorder: Recorder) -> None:
    """A delivery counts with its time."""
    recorder.note_event({"level": "info", "event": "delivered", "octets": 7, "seconds": 1.5})
    assert recorder.memory.read_distribution(metrics.DELIVERY_SECONDS).total == 1.5


def test_each_metric_is_counted_and_tested() -> None:
    """The server counts for each metric of the catalogue, and a test reads it."""
    names = [name for name, value in vars(metrics).items() if isinstance(value, MetricSpec)]
    catalogue = Path(metrics.__file__)
    counting = "".join(
        file.read_text() for file in catalogue.parents[1].rglob("*.py") if file != catalogue
    )
    testing = "".join(file.read_text() for file in TESTS.rglob("test_*.py"))
    assert len(names) > 20
    uncounted = [name for name in names if not re.search(rf"\.{name}\b", counting)]
    assert uncounted == [], "count them in server/metrics/recorder.py"
    untested = [
        name
        for name in names
        if not re.search(rf"\.{name}\b|\b{getattr(metrics, name).name}\b", testing)
    ]
    assert untested == [], "add rows to EVENTS of this file"


def test_every_documented_reason_counts_by_itself() -> None:
    """The reasons of login_failed that the page of the log lists are values of the label."""
    table = (
        LOG_PAGE.read_text().partition("| reason | meaning |\n|---|---|\n")[2].partition("\n\n")[0]
    )
    cells = [row.split("|")[1] for row in table.splitlines()]
    reasons = {
        reason.partition(": ")[0] for cell in cells for reason in re.findall("`(.+?)`", cell)
    }
    assert len(reasons) > 8
    assert reasons - set(metrics.FAILURES) == set()
