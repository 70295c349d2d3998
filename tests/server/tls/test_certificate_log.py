"""The log of certificates, by a clock of its own."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture
from structlog.typing import EventDict

from restante.server.tls.certificate_files import CertificateError, CertificateFiles
from restante.server.tls.certificate_log import CertificateLog
from restante.server.tls.certificates import Certificates
from support import authority
from support.authority import DAY, key_of
from support.live import wait_until
from support.workers import value


class Watched:
    """A certificate in two profiles, on a certain day, and the log's lines about it."""

    def __init__(self, folder: Path) -> None:
        self.pair = CertificateFiles(folder / "mail.pem", folder / "mail.key")
        self.now = dt.datetime.now(dt.UTC)
        self._capture = LogCapture()
        self._log = structlog.wrap_logger(
            None,
            processors=[self._capture],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        ).bind()
        self._profiles: list[Certificates] = []

    def write(self, begins: dt.timedelta, ends: dt.timedelta) -> None:
        """Write a certificate with these dates, as seen from now."""
        now = dt.datetime.now(dt.UTC)
        ahead = self.now - now
        made = authority.make("localhost", begins=ahead + begins, ends=ahead + ends)
        self.pair.certificate.write_bytes(made.pem)
        self.pair.key.write_bytes(key_of(made))

    def load(self) -> list[EventDict]:
        """Load it for the first time, and return what was logged."""
        log = CertificateLog(self._log, lambda: self.now)
        self._profiles = [
            Certificates([self.pair], "modern", log=log),
            Certificates([self.pair], "legacy", log=log),
        ]
        return self._told()

    def look(self, later: dt.timedelta = dt.timedelta(0)) -> list[EventDict]:
        """Check it after this time, and return what was logged."""
        self.now += later
        for known in self._profiles:
            known.reload_changed()
            known.log_expiring()
        return self._told()

    def reload(self) -> list[EventDict]:
        for known in self._profiles:
            known.reload()
        return self._told()

    def _told(self) -> list[EventDict]:
        told = self._capture.entries[:]
        self._capture.entries.clear()
        return told


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def problems(told: list[EventDict]) -> list[str]:
    """Return what is wrong with dates; nothing else was logged."""
    assert {event["event"] for event in told} <= {"certificate_dates"}
    assert {event["log_level"] for event in told} <= {"warning"}
    return [event["problem"] for event in told]


@pytest.mark.parametrize(
    ("begins", "ends", "problem"),
    [
        (-90 * DAY, -DAY, ["expired"]),
        (DAY, 90 * DAY, ["not valid yet"]),
        (-76 * DAY, 13.5 * DAY, ["expires in 13 days"]),
        (-89 * DAY, DAY, ["expires in less than 2 days"]),
        (-75 * DAY, 15 * DAY, []),
        (-20 * DAY, 9.5 * DAY, ["expires in 9 days"]),
        (-DAY, 9.5 * DAY, []),  # a third of its life is less than that
        (-3.5 * DAY, 3 * DAY, []),
        (-5 * DAY, 1.5 * DAY, ["expires in less than 2 days"]),
    ],
)
def test_dates_are_told_at_the_start(
    watched: Watched, begins: dt.timedelta, ends: dt.timedelta, problem: list[str]
) -> None:
    """At the start, dates that need attention are logged."""
    watched.write(begins, ends)
    assert problems(watched.load()) == problem


def test_the_file_and_its_dates_are_told(watched: Watched) -> None:
    """The log names the certificate's file and dates."""
    watched.write(-90 * DAY, -DAY)
    (event,) = watched.load()
    assert event["certificate"] == str(watched.pair.certificate)
    assert dt.datetime.fromisoformat(event["begins"]) < watched.now - 89 * DAY
    assert dt.datetime.fromisoformat(event["ends"]) < watched.now


def test_expiring_certificate_is_logged(watched: Watched) -> None:
    """In the last two weeks before its end a certificate is logged once a day."""
    watched.write(-DAY, 90 * DAY + DAY / 48)
    assert watched.load() == []
    hours = [problems(watched.look(dt.timedelta(hours=1))) for _ in range(24 * 92)]
    told = [(hour // 24, *texts) for hour, texts in enumerate(hours, 1) if texts]
    assert told[:2] == [(77, "expires in 13 days"), (78, "expires in 12 days")]
    assert [day for day, _ in told] == list(range(77, 93))
    assert [text for _, text in told[-4:]] == [
        "expires in less than 2 days",
        "expires in less than 2 days",
        "expired",
        "expired",
    ]


def test_a_clock_that_is_set_back(watched: Watched) -> None:
    """A certificate is logged once a day, although the clock was ahead before."""
    watched.write(-80 * DAY, 9.5 * DAY)
    assert problems(watched.load()) == ["expires in 9 days"]
    assert problems(watched.look(-2 * DAY)) == ["expires in 11 days"]
    assert watched.look(DAY / 2) == []
    assert problems(watched.look(DAY / 2)) == ["expires in 10 days"]


def test_a_renewal_is_told_once_with_its_new_end(watched: Watched) -> None:
    """A renewed certificate is logged once, with its new end."""
    watched.write(-80 * DAY, 10 * DAY)
    watched.load()
    watched.write(-DAY, 90 * DAY)
    (event,) = watched.look()
    assert event["log_level"] == "info"
    assert event["event"] == "certificate_renewed"
    assert event["certificate"] == str(watched.pair.certificate)
    assert dt.datetime.fromisoformat(event["ends"]) > watched.now + 89 * DAY
    assert watched.look(2 * DAY) == []


def test_a_renewal_that_is_expired_is_told_at_once(watched: Watched) -> None:
    """A renewed certificate that has expired is logged at once."""
    watched.write(-DAY, 90 * DAY)
    watched.load()
    watched.write(-90 * DAY, -DAY)
    renewed, dates = watched.look()
    assert renewed["event"] == "certificate_renewed"
    assert problems([dates]) == ["expired"]


def test_same_files_not_renewed(watched: Watched) -> None:
    """Unchanged files that are loaded again are not logged as a renewal."""
    watched.write(-80 * DAY, 10 * DAY)
    watched.load()
    assert watched.reload() == []


def test_a_problem_is_told_once_until_it_is_over(watched: Watched) -> None:
    """A problem with the files is logged once until it is over."""
    watched.write(-DAY, 90 * DAY)
    watched.load()
    key = watched.pair.key.read_bytes()
    for _ in range(2):
        watched.pair.key.unlink()
        (event,) = watched.look() + watched.look()
        assert (event["log_level"], event["event"]) == ("warning", "certificates")
        assert event["problem"] == f"{watched.pair.key}: No such file or directory; check the path"
        watched.pair.key.write_bytes(key)
        assert watched.look() == []


def test_nothing_is_called_renewed_where_a_reload_failed(watched: Watched) -> None:
    """A failed reload is not logged as a renewal."""
    watched.write(-DAY, 90 * DAY)
    watched.load()
    watched.write(-DAY, 80 * DAY)
    watched.pair.key.unlink()
    with pytest.raises(CertificateError):
        watched.reload()
    assert problems(watched.look()[1:]) == []


PROGRAM = """
    import datetime
    from pathlib import Path
    from restante.server.config import loader
    from restante.server.tls import certificate_log, certificates
    from restante.server.app import run

    certificates.CHECK_IDLE_EVERY = 0.05
    certificate_log.REMIND_EVERY = datetime.timedelta(0)
    run(loader.load(Path("restante.toml"), {}))
"""

CONFIG = """
[server]
listen = ["127.0.0.1:0"]
workers = {workers}
[mail]
folder = "mail"
[accounts]
users = "users"
[tls]
certificates = [{{ certificate = "mail.pem", key = "mail.key" }}]
"""


@contextlib.contextmanager
def running(folder: Path, workers: int) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run a server that looks each moment, with a certificate that has expired, and its log."""
    watched = Watched(folder)
    watched.write(-90 * DAY, -DAY)
    (folder / "mail").mkdir()
    (folder / "users").touch()
    (folder / "restante.toml").write_text(CONFIG.format(workers=workers))
    log = folder / "log"
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    with log.open("wb") as file, subprocess.Popen(command, cwd=folder, stderr=file) as server:
        try:
            yield server, log
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0
        finally:
            server.kill()


def events(log: Path, event: str) -> list[str]:
    return [line for line in log.read_text().splitlines() if f"event={event} " in line]


def test_certificates_checked_when_idle(tmp_path: Path) -> None:
    """The server checks certificates even if no client connects."""
    with running(tmp_path, 1) as (_, log):
        wait_until(lambda: len(events(log, "certificate_dates")) >= 3)
        Watched(tmp_path).write(-DAY, 90 * DAY)
        wait_until(lambda: events(log, "certificate_renewed"))


def test_of_several_workers_one_looks_after_certificates(tmp_path: Path) -> None:
    """One worker checks the certificates; if it dies, its successor does."""
    with running(tmp_path, 2) as (supervisor, log):
        wait_until(lambda: len(events(log, "worker_started")) == 2)
        wait_until(lambda: len(events(log, "certificate_dates")) >= 5)
        start, *later = [int(value(line, "pid")) for line in events(log, "certificate_dates")]
        assert start == supervisor.pid
        first, second = [int(value(line, "worker")) for line in events(log, "worker_started")]
        assert set(later) == {first}
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: len({value(e, "pid") for e in events(log, "certificate_dates")}) == 3)
        assert str(second) not in {value(e, "pid") for e in events(log, "certificate_dates")}
