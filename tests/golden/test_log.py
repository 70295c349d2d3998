"""Every event of the log, as the line that `pop3 serve` writes, and why it was written."""

from __future__ import annotations

import ast
import os
import re
import shlex
import signal
import smtplib
from collections.abc import Callable
from pathlib import Path

import pytest

from golden.recording import FOLDER, compare, masked, sections
from restante.server.tls import self_signed
from support.live import Client, wait_until
from support.process import POP3, Served, free_port, serving
from support.workers import catches

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "docs" / "reference" / "log.md"

ELSEWHERE = {
    "auth_socket_failed": "tests/server/auth_socket/test_connection.py",
    "certificates": "tests/server/tls/test_certificate_log.py",
    "certificate_dates": "tests/server/tls/test_certificate_log.py",
    "certificate_renewed": "tests/server/tls/test_certificate_log.py",
    "cluster": "tests/storage/cluster",
    "deleted_swept": "tests/server/tasks/test_deleted_sweep.py",
    "clock_jumped": "tests/server/tasks/test_steady_clock.py",
    "expired": "tests/server/tasks/test_expiry.py",
    "hashes_replaced": "tests/server/composition/test_account_sources.py",
    "incident": "tests/server/test_incidents.py",
    "kicked": "tests/server/control/test_service.py",
    "foreign_files": "tests/server/composition/test_backends.py",
    "mbox": "tests/storage/mbox",
    "not_delivered": "tests/delivery",
    "not_expired": "tests/server/tasks/test_expiry.py",
    "quota": "tests/delivery/test_quota.py",
    "not_ready": "tests/server/metrics/test_listener.py",
    "not_swept": "tests/server/tasks/test_upkeep.py",
    "socket_not_used": "tests/server/system/test_activation.py",
    "socket_lost": "tests/server/system/test_unix_sockets.py",
    "socket_restored": "tests/server/system/test_unix_sockets.py",
    "swept": "tests/server/tasks/test_upkeep.py",
    "unique_ids": "tests/server/composition/test_backends.py",
    "worker_hangs": "tests/server/processes/test_hung_worker.py",
    "worker_not_started": "tests/server/processes/test_worker_end.py",
}
"""Events that no golden file has, and what tests them."""


class Log:
    """The log of a running server, step by step."""

    def __init__(self, served: Served, folder: Path) -> None:
        self.served = served
        self.parts: list[tuple[str, str]] = []
        self.found: dict[object, str] = {folder: "DIR"}
        self._seen = 0

    def step(self, title: str, *events: str, do: Callable[[], object] = bool) -> None:
        """Do something, wait until these events are logged, and record the lines."""
        do()
        wait_until(lambda: all(self._count(event) >= events.count(event) for event in events))
        text = self._new()
        self._seen += len(text)
        keys = "pid|worker|uid|age|session|held_by"
        text = re.sub(rf"\b({keys})=\S+", r"\1=ID", masked(text, self.found))
        self.parts.append((title, "\n".join(sorted(set(text.splitlines())))))

    def _count(self, event: str) -> int:
        return self._new().count(f"event={event}")

    def _new(self) -> str:
        text = self.served.log.read_text()[self._seen :]
        return text[: text.rfind("\n") + 1]


def say(client: Client, *lines: str) -> None:
    with client:
        client.read_line()
        for line in lines:
            client.say(line)


def test_one_process(tmp_path: Path) -> None:
    """A server without TLS, with SMTP, and its reloads."""
    config, smtp = tmp_path / "restante.toml", free_port()
    text = f"[delivery]\nsmtp = '127.0.0.1:{smtp}'\n[timeouts]\nlock = 0\n"
    text += "[limits]\ncount_loopback = true\nconnections_per_address = 2\n"
    config.write_text(text)
    (tmp_path / "users").touch(0o600)
    with serving(tmp_path, "--config", config) as served:
        log = Log(served, tmp_path)
        log.step("start", "listening", "listening", "no_tls", "session")

        def add(name: str) -> None:
            words = [POP3, "user", "add", name, "--users", served.users, "--password-stdin"]
            command = shlex.join(map(str, words))
            assert os.system(f"echo secret | {command} >/dev/null") == 0

        def talk(*lines: str) -> Callable[[], None]:
            return lambda: say(served.connect(), *lines)

        def hang_up(changed: str) -> Callable[[], None]:
            def change() -> None:
                config.write_text(changed)
                served.process.send_signal(signal.SIGHUP)

            return change

        add("ann")
        log.step("first login", "maildir_made", "session",
                 do=talk("USER ann", "PASS secret", "STAT", "QUIT"))  # fmt: skip
        log.step("no user", "login_failed", "session", do=talk("USER bob", "PASS secret", "QUIT"))
        log.step("wrong password", "login_failed", "session", do=talk("USER ann", "PASS x", "QUIT"))
        with smtplib.SMTP("127.0.0.1", smtp) as client:
            client.sendmail("bob@example.org", ["ann"], b"Subject: a\r\n\r\nhello\r\n")
            log.step("delivery", "delivered")
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                client.sendmail("bob@example.org", ["no"], b"")
            log.step("delivery to nobody", "not_taken")
        fetch = ("USER ann", "PASS secret", "RETR 1")
        log.step("hung up", "session", do=talk(*fetch))
        log.step("removal", "message_removed", "session",
                 do=talk("USER ann", "PASS secret", "DELE 1", "QUIT"))  # fmt: skip
        with served.connect() as held:
            held.log_in("ann", "secret")
            log.step(
                "in use", "login_refused", "session", do=talk("USER ann", "PASS secret", "QUIT")
            )
            with served.connect() as second:
                second.read_line()
                log.step("too many", "session", do=talk())
            log.step("two ends", "session", "session", do=held.close)
        (served.mail / "carl").write_text("")
        add("carl")
        log.step("no Maildir", "trouble", "session", do=talk("USER carl", "PASS secret", "QUIT"))
        log.step("reload", "reloaded", do=hang_up(text))
        log.step("bad reload", "not_reloaded", do=hang_up(text + "[servr]\n"))
        log.step("reload in part", "reload_is_partial", "reloaded",
                 do=hang_up(text + "[server]\ngreeting = 'x'\n"))  # fmt: skip
        with served.users.open("a") as file:
            file.write("a line that is no account\n")
        log.step("accounts", "accounts", "session", do=talk("USER ann", "PASS secret", "QUIT"))
        served.stop()
        log.step("stop", "stopping")
    compare("log/one_process.txt", sections(log.parts))


def test_workers(tmp_path: Path) -> None:
    """Two workers with TLS, one of which is killed."""
    made = self_signed.create_self_signed(("localhost",), ("127.0.0.1",))
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.certificate)
    key.write_bytes(made.key)
    (tmp_path / "users").touch(0o600)
    port = free_port()
    tls: list[str | Path] = [
        "--certificate",
        certificate,
        "--key",
        key,
        "--tls-listen",
        f"127.0.0.1:{port}",
    ]
    with serving(tmp_path, "--workers", "2", *tls) as served:
        log = Log(served, tmp_path)
        log.step("start", "listening", "listening", "worker_started", "worker_started", "session")

        def plain() -> None:
            with Client(port) as client:
                client.send(b"CAPA\r\n")
                client.read_all()

        def kill() -> None:
            line = served.log.read_text().partition(" worker=")[2]
            os.kill(int(line.split()[0]), signal.SIGKILL)

        log.step("no TLS", "connection_failed", "session", do=plain)
        log.step("a worker is killed", "worker_ended", "worker_started", do=kill)
        successor = int(served.log.read_text().rpartition(" worker=")[2].split()[0])
        wait_until(lambda: catches(successor, signal.SIGTERM))  # a younger one ends by the signal
        log.step("reload", "reloaded", "worker_ended", "worker_ended",
                 do=lambda: served.process.send_signal(signal.SIGHUP))  # fmt: skip
        served.stop()
        log.step("stop", "stopping", "worker_ended", "worker_ended")
    compare("log/workers.txt", sections(log.parts))


def documented_events() -> set[str]:
    """Return the events of the page of the log."""
    table = EVENTS.read_text().partition("| event | when |")[2].partition("\n\n")[0]
    return set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))


def logged_events() -> set[str]:
    """Return the events that the source logs by their names."""
    calls = (
        node
        for file in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args
        if node.func.attr in {"info", "warning", "error", "exception"}
    )
    names = (call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant))
    return {name for name in names if isinstance(name, str)}


def test_every_event_is_documented() -> None:
    """The page of the log has each event of the source."""
    missing = sorted(logged_events() - documented_events())
    assert missing == [], "add these events to the table in docs/reference/log.md"


def test_every_event_has_a_line_or_a_test() -> None:
    """An event of docs/reference/log.md is in a golden file, or tested where ELSEWHERE says."""
    events = documented_events()
    text = "".join(file.read_text() for file in (FOLDER / "log").glob("*.txt"))
    seen = set(re.findall(r"\bevent=(\w+)", text))
    tested = seen | set(ELSEWHERE)
    assert sorted(events - tested) == [], "log them in a step here, or add rows to ELSEWHERE"
    assert sorted(tested - events) == [], "add these events to the table in docs/reference/log.md"
    assert sorted(seen & set(ELSEWHERE)) == [], "remove these rows of ELSEWHERE: a step logs them"
    unnamed = [
        event
        for event, place in ELSEWHERE.items()
        if not re.search(rf"[\"=']{event}\b", read(ROOT / place))
    ]
    assert unnamed == [], "their tests do not name them"


def read(place: Path) -> str:
    """Return the text of a file, or of all tests below a folder."""
    files = [place] if place.is_file() else place.rglob("test_*.py")
    return "".join(file.read_text() for file in files)
