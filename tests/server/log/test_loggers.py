"""The loggers of servers within a program."""

from __future__ import annotations

import pytest

from restante.server.log.loggers import INCIDENTS, command_logger


def test_incident(capsys: pytest.CaptureFixture[str]) -> None:
    """An error of ours is printed with its number and its cause, without controls; no event is."""
    log = INCIDENTS.bind(session="a1")
    log.info("login", user="ann")
    log.error("incident", incident="f00d", exc_info=ValueError("bad \x1b[2J"))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("incident incident=f00d\n")
    assert printed.err.endswith("ValueError: bad \\x1b[2J\n")


def test_incident_at_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """An error that is logged where it is handled is printed with its trace, too."""
    try:
        int("bad")
    except ValueError:
        INCIDENTS.exception("incident", via="pipe")
    printed = capsys.readouterr().err
    assert printed.startswith("incident via=pipe\nTraceback")
    assert printed.endswith("'bad'\n")


def test_problems_of_a_command() -> None:
    """A command prints a problem as a sentence, its own error with a trace, and nothing else."""
    lines: list[str] = []
    traces: list[str] = []
    log = command_logger(lines.append, traces.append)
    log.info("maildir_made", user="ann", folder="/srv/mail/ann")
    log.info("not_expired", user="ann", reason="in use")
    log.warning("mbox", path="/srv/mail/bob", problem="bad \x1b[2J")
    log.bind(user="carl").warning(
        "not_delivered", reply="450 4.2.0 later", error="the disk is full"
    )
    log.error("accounts", problem="users: no such file")
    assert lines == [
        "ann: in use",
        "/srv/mail/bob: bad \\x1b[2J",
        "the disk is full",
        "users: no such file",
    ]
    log.error("incident", exc_info=ValueError("oops"))
    assert len(lines) == 4
    assert traces[0].endswith("ValueError: oops")
