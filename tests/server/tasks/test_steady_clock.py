"""A wall clock that jumps: for a while, no mail may be removed by it."""

from __future__ import annotations

import asyncio
import io

import pytest

from restante.server.log import event_log
from restante.server.tasks.steady_clock import AFTER_JUMP, AT_START, JUMP, SteadyClock
from support.rounds import Clocks

MONTHS = 90 * 24 * 60 * 60.0


def made(clocks: Clocks) -> tuple[SteadyClock, io.StringIO]:
    log, _ = event_log.configure_log("text", lines := io.StringIO(), threaded=False)
    return clocks.steady(log), lines


def test_wait_at_start() -> None:
    """After a start, NTP has an hour to set a clock that was wrong at the boot."""
    clocks = Clocks()
    clock, lines = made(clocks)
    assert not clock.is_steady()
    asyncio.run(clock.wait())
    assert clocks.paused == AT_START
    assert clock.is_steady()
    assert not lines.getvalue()


@pytest.mark.parametrize("seconds", [MONTHS, -MONTHS, JUMP + 1, -JUMP - 1])
def test_jump_is_logged_and_waited_out(seconds: float) -> None:
    """After a jump in either direction, the clock must be steady for a day; one line says so."""
    clocks = Clocks()
    clock, lines = made(clocks)
    asyncio.run(clock.wait())
    clocks.set += seconds
    assert not clock.is_steady()
    assert not clock.is_steady()
    assert lines.getvalue().count("level=warning event=clock_jumped") == 1
    assert f"seconds={seconds:.0f}" in lines.getvalue()
    clocks.paused = 0
    asyncio.run(clock.wait())
    assert clocks.paused == AFTER_JUMP
    assert clock.is_steady()


def test_small_corrections_are_no_jumps() -> None:
    """NTP may set the clock again and again by less than a jump."""
    clocks = Clocks()
    clock, lines = made(clocks)
    asyncio.run(clock.wait())
    for _ in range(20):
        clocks.set += JUMP - 1
        assert clock.is_steady()
    assert not lines.getvalue()


def test_jump_during_a_wait() -> None:
    """A clock that NTP corrects within the hour after a start must be steady for a day, too."""
    clocks = Clocks()
    clocks.jumps = [-MONTHS]
    clock, lines = made(clocks)
    asyncio.run(clock.wait())
    assert clocks.paused == AT_START + AFTER_JUMP
    assert lines.getvalue().count("event=clock_jumped") == 1
