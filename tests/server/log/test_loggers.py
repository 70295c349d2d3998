"""The loggers of servers within a program."""

from __future__ import annotations

import pytest

from restante.server.log.loggers import INCIDENTS


def test_incident(capsys: pytest.CaptureFixture[str]) -> None:
    """An error of ours is printed with its number and its cause, without controls; no event is."""
    log = INCIDENTS.bind(session="a1")
    log.info("login", user="ann")
    log.error("incident", incident="f00d", exc_info=ValueError("bad \x1b[2J"))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("incident incident=f00d\n")
    assert printed.err.endswith("ValueError: bad \\x1b[2J\n")
