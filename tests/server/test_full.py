"""Who is turned away costs the others nothing, and no limit is met in silence."""

from __future__ import annotations

import asyncio
import errno
import io

import pytest

from restante.server import observe, process
from restante.server.limits import Addresses
from restante.server.record import EVERY, LimitLog
from restante.server.service import MOST_LINGERING
from support.clocked import clocked

FULL = b"-ERR [SYS/TEMP] Too many connections, try again later.\r\n"


def test_address_over_its_limit() -> None:
    """A connection over the limit of its address takes no place of the total, not for a moment."""
    with clocked(most_connections=3, addresses=Addresses(1)) as server:
        first = server.connect(address="192.0.2.1")
        for _ in range(50):
            assert server.connect(address="192.0.2.1").heard == FULL
        others = [server.connect(address=f"198.51.100.{number}") for number in (1, 2)]
        assert all(peer.heard.startswith(b"+OK") for peer in (first, *others))
        assert server.connect(address="198.51.100.3").heard == FULL
        assert "limit=limits.connections " in server.log.getvalue()


def test_many_turned_away() -> None:
    """Where many are turned away they are told so, and not waited for."""
    with clocked(most_connections=1) as server:
        server.connect()
        peers = [server.connect() for _ in range(MOST_LINGERING + 20)]
        assert {peer.heard for peer in peers} == {FULL}
        assert len(server.service.connections) <= MOST_LINGERING + 1


def test_event_about_a_limit() -> None:
    """A limit is told of once a minute, with what to do and how often it was met."""
    lines = io.StringIO()
    log, writer = observe.start("text", lines)
    now = 0.0
    limits = LimitLog(log, lambda: now)
    for _ in range(5):
        limits.note("open files", "raise it")
    now = EVERY
    limits.note("open files", "raise it")
    writer.close()
    first, second = lines.getvalue().splitlines()
    assert first.endswith('event=limit_reached limit="open files" times=1 advice="raise it"')
    assert second.endswith('event=limit_reached limit="open files" times=5 advice="raise it"')


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_accept_fails(number: int) -> None:
    """An accept that fails for want of descriptors is an event with advice, and no incident."""
    lines = io.StringIO()
    log, writer = observe.start("text", lines)

    async def fail() -> None:
        process.report_incidents(log, LimitLog(log))
        error = OSError(number, "too many")
        for _ in range(3):
            asyncio.get_running_loop().call_exception_handler({"message": "x", "exception": error})

    asyncio.run(fail())
    writer.close()
    assert lines.getvalue().count("event=limit_reached") == 1
    assert "incident" not in lines.getvalue()
