"""The log: one line a session."""

from __future__ import annotations

import io
import json
import re
import threading

import pytest

from restante.server.log import event_log
from support.live import PATIENCE, serving

LETTER = b"Subject: a\n\nhello\n"


def test_a_session_has_one_line_with_what_it_did() -> None:
    """A session has one log line with its counts and no password."""
    with serving() as live:
        live.add("ann", "hunter2", LETTER, LETTER)
        with live.connect() as client:
            client.log_in("ann", "hunter2")
            client.say("RETR 1")
            client.read_lines()
            client.say("TOP 2 0")
            client.read_lines()
            client.say("DELE 1")
            client.say("QUIT")
            client.read_all()
    sessions = [line for line in live.log.getvalue().splitlines() if "event=session" in line]
    assert len(sessions) == 1
    assert re.search(
        r"level=info event=session address=127\.0\.0\.1 user=ann tls= octets_in=55 octets_out=151"
        r" messages=2 maildrop_octets=42 retrieved=1 deleted=1 seconds=[0-9.]+ end=quit"
        r" session=[0-9a-f]{10}$",
        sessions[0],
    ), sessions[0]
    assert "hunter2" not in live.log.getvalue()


def test_an_empty_maildrop_can_be_told_from_none() -> None:
    """The log line of a session has counts of the maildrop only after a login."""
    with serving() as live:
        live.add("ann", "secret")
        for password in ("wrong", "secret"):
            with live.connect() as client:
                client.read_line()
                client.say("USER ann")
                client.say(f"PASS {password}")
                client.say("QUIT")
                client.read_all()
        live.wait_for_log("user=ann tls=", "user= tls=")
    sessions = [line for line in live.log.getvalue().splitlines() if "event=session" in line]
    assert "messages" not in sessions[0]
    assert "maildrop_octets" not in sessions[0]
    assert " messages=0 maildrop_octets=0 retrieved=0 " in sessions[1]


def test_json_is_one_object_a_line() -> None:
    """The JSON log has one object for each event, on one line."""
    log, writer = event_log.configure_log("json", lines := io.StringIO())
    log.info("session", user='a "b"\n', octets_in=5)
    log.warning("trouble")
    writer.close()
    events = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["session", "trouble"]
    assert events[0]["user"] == 'a "b"\n'
    assert events[0]["octets_in"] == 5


def test_text_keeps_an_event_in_its_line() -> None:
    """implied/no-injection."""
    log, writer = event_log.configure_log("text", lines := io.StringIO())
    log.info("session", user="a\nlevel=info event=forged", end='"')
    writer.close()
    assert lines.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("", ""),
        ("a", "a"),
        ("a\\", "a\\"),
        ("a b", '"a b"'),
        ("a=b", '"a=b"'),
        ('a"', '"a\\""'),
        ("a\\ b", '"a\\\\ b"'),
        ("a\n", '"a\\n"'),
        ("a\x1b", "a\\x1b"),
        (["a b"], "['a b']"),
    ],
)
def test_text_quotes_what_it_must(value: object, written: str) -> None:
    """A value with a space, an equals sign or a quote is quoted, and no other."""
    log, writer = event_log.configure_log("text", lines := io.StringIO())
    log.info("event", first=1, value=value, last="z")
    writer.close()
    assert lines.getvalue().endswith(f" level=info event=event first=1 value={written} last=z\n")


class Stuck(io.StringIO):
    """A pipe that no process reads, for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.freed = threading.Event()
        self.writes = 0

    def write(self, text: str) -> int:
        assert self.freed.wait(PATIENCE)
        self.writes += bool(text)
        return super().write(text)


def test_lines_that_nobody_takes_are_counted() -> None:
    """Lines that do not fit the queue are lost and counted."""
    log, writer = event_log.configure_log("text", stuck := Stuck())
    said = event_log.MAX_WAITING * 2
    for _ in range(said):
        log.info("session", user="ann")
    stuck.freed.set()
    writer.close(PATIENCE)
    lines = stuck.getvalue().splitlines()
    written = sum("event=session" in line for line in lines)
    lost = sum(int(line.rpartition("lines_lost=")[2]) for line in lines if "lines_lost" in line)
    assert lost
    assert written + lost == said


def test_the_reason_why_a_thread_is_missing_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that gets no thread for its log can log why, and end."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    log, writer = event_log.configure_log("text", lines := io.StringIO(), threaded=False)
    with pytest.raises(RuntimeError):
        writer.begin()
    log.error("incident", what="a worker failed")
    writer.close()
    assert lines.getvalue().endswith('event=incident what="a worker failed"\n')


def test_lines_that_wait_together_are_written_together() -> None:
    """Many lines cost few calls of the system, however many sessions end meanwhile."""
    log, writer = event_log.configure_log("text", stuck := Stuck())
    for _ in range(100):
        log.info("session", user="ann")
    stuck.freed.set()
    writer.close(PATIENCE)
    assert stuck.getvalue().count("\n") == 100
    assert stuck.writes <= 2


def test_a_long_value_is_cut() -> None:
    """A value that a peer chose fills no more of the log than others."""
    log, writer = event_log.configure_log("text", lines := io.StringIO())
    log.warning("event", user="x" * 50_000)
    writer.close()
    assert len(lines.getvalue()) < 1200
    assert "... (50000 characters)" in lines.getvalue()


def test_all_events_of_a_connection_have_its_id() -> None:
    """A failed login, the login and the end of one connection have the same session id."""
    with serving() as live:
        live.add("ann", "hunter2")
        for _ in range(2):
            with live.connect() as client:
                client.read_line()
                for line in ("USER ann", "PASS wrong", "USER ann", "PASS hunter2", "QUIT"):
                    client.say(line)
    events = re.findall(
        r" event=(\w+) .* session=([0-9a-f]{10})$", live.log.getvalue(), re.MULTILINE
    )
    ids = list(dict.fromkeys(session for _, session in events))
    assert len(ids) == 2
    for each in ids:
        names = [name for name, session in events if session == each]
        assert names == ["login_failed", "login", "session"]
