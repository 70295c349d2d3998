"""A wall clock that jumps: for a while, no mail may be removed by it."""

from __future__ import annotations

import asyncio
import io

import pytest

from restante.server.log import event_log
from restante.server.tasks.steady_clock import AFTER_BOOT, AFTER_JUMP, JUMP, SteadyClock
from support.rounds import Clocks

MONTHS = 90 * 24 * 60 * 60.0


def made(clocks: Clocks) -> tuple[SteadyClock, io.StringIO]:
    log, _ = event_log.configure_log("text", lines := io.StringIO(), threaded=False)
    return clocks.steady(log), lines


def test_wait_after_boot() -> None:
    """After the boot of the machine, NTP has ten minutes to set a wrong clock."""
    clocks = Clocks()
    clock, lines = made(clocks)
    assert not clock.is_steady()
    asyncio.run(clock.wait())
    assert clocks.paused == AFTER_BOOT
    assert clock.is_steady()
    assert not lines.getvalue()


def test_no_wait_on_a_machine_that_runs() -> None:
    """A server that starts later begins at once."""
    clocks = Clocks()
    clocks.uptime = AFTER_BOOT
    clock, _ = made(clocks)
    assert clock.is_steady()


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


def test_new_worker_knows_of_jumps() -> None:
    """A worker that starts after a jump waits as the others do, and logs nothing again."""
    clocks = Clocks()
    clock, lines = made(clocks)
    asyncio.run(clock.wait())
    clocks.set += MONTHS
    assert not clock.is_steady()
    worker = clock.for_worker()
    assert not worker.is_steady()
    clocks.set += MONTHS
    assert not worker.is_steady()
    assert lines.getvalue().count("event=clock_jumped") == 1
    assert not clock.is_steady()
    assert lines.getvalue().count("event=clock_jumped") == 2


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
    """A clock that NTP corrects within ten minutes after the boot must be steady for a day, too."""
    clocks = Clocks()
    clocks.jumps = [-MONTHS]
    clock, lines = made(clocks)
    asyncio.run(clock.wait())
    assert clocks.paused == AFTER_BOOT + AFTER_JUMP
    assert lines.getvalue().count("event=clock_jumped") == 1
