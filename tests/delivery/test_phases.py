"""The table of phases and events of delivery, and the code, agree."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
import structlog

from delivery.door import Delivered
from restante.delivery import connection as driver
from restante.delivery.connection import DeliveryConnection
from restante.delivery.deliverer import Deliverer
from restante.delivery.phases import TIMED
from restante.delivery.phases import DeliveryPhase as Phase
from restante.delivery.protocol.session import Dialect
from restante.delivery.sessions import DeliverySessions
from restante.server.config.mail_sections import DeliverySection
from support.phases import Transport, read_table

BEFORE_RECIPIENT = b"LHLO me\r\nMAIL FROM:<>\r\n"
RECIPIENT = b"RCPT TO:<ann@example.com>\r\n"
SIZE = 100_000


class Names:
    """Resolves every name, once the gate is open."""

    def __init__(self, gate: asyncio.Event) -> None:
        self.gate = gate

    async def owner(self, name: str) -> str:
        await self.gate.wait()
        return name


@dataclass
class Driven:
    """A connection, and what it works with."""

    connection: DeliveryConnection
    transport: Transport
    sessions: DeliverySessions
    resolved: asyncio.Event
    delivered: asyncio.Event

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def finish_work(self) -> None:
        self.resolved.set()
        self.delivered.set()
        await self.settle()

    def lose(self) -> None:
        self.transport.closing = True
        self.connection.connection_lost(None)


async def command() -> Driven:
    resolved, delivered = asyncio.Event(), asyncio.Event()
    store = Delivered()
    store.first = lambda *_: delivered.wait()
    deliverer = Deliverer(store=store, recipients=Names(resolved), log=structlog.get_logger())
    settings = DeliverySection(message_size=SIZE)
    sessions = DeliverySessions(deliverer=deliverer, settings=settings, host="mx", patience=300)
    connection = DeliveryConnection(sessions, Dialect.LMTP)
    made = Driven(connection, Transport("127.0.0.1"), sessions, resolved, delivered)
    made.connection.connection_made(made.transport)
    return made


async def blocked() -> Driven:
    made = await command()
    await full(made)
    return made


async def queued() -> Driven:
    made = await command()
    made.connection.data_received(b"NOOP\r\n" * 3)
    return made


async def resolving() -> Driven:
    made = await command()
    made.connection.data_received(BEFORE_RECIPIENT + RECIPIENT)
    await made.settle()
    return made


async def message() -> Driven:
    made = await resolving()
    made.resolved.set()
    await made.settle()
    made.connection.data_received(b"DATA\r\nhello\r\n")
    return made


async def delivering() -> Driven:
    made = await message()
    made.connection.data_received(b".\r\n")
    await made.settle()
    return made


async def closing() -> Driven:
    made = await command()
    made.connection.data_received(b"QUIT\r\n")
    return made


async def closing_with_work() -> Driven:
    made = await delivering()
    made.connection.abort()
    return made


async def lost() -> Driven:
    made = await delivering()
    made.lose()
    return made


PHASES: dict[Phase, Callable[[], Awaitable[Driven]]] = {
    Phase.COMMAND: command,
    Phase.BLOCKED: blocked,
    Phase.QUEUED: queued,
    Phase.MESSAGE: message,
    Phase.RESOLVING: resolving,
    Phase.DELIVERING: delivering,
    Phase.CLOSING: closing,
    Phase.LOST: lost,
}


async def data(made: Driven) -> None:
    whole = b".\r\n" if made.connection.phase is Phase.MESSAGE else b"NOOP\r\n"
    made.connection.data_received(whole)


async def eof(made: Driven) -> None:
    stays_open = made.connection.eof_received()
    assert stays_open is (made.connection.phase is not Phase.CLOSING)


async def full(made: Driven) -> None:
    made.transport.unsent = 100_000
    made.connection.pause_writing()


async def writable(made: Driven) -> None:
    made.transport.unsent = 0
    made.connection.resume_writing()


async def timeout(made: Driven) -> None:
    made.connection.on_timeout()


async def turn(made: Driven) -> None:
    made.connection.on_turn()


async def result(made: Driven) -> None:
    await made.finish_work()


async def stop(made: Driven) -> None:
    made.sessions.connections.stopping = True
    made.connection.stop()


async def abort(made: Driven) -> None:
    made.connection.abort()


async def lose(made: Driven) -> None:
    made.lose()


EVENTS: dict[str, Callable[[Driven], Awaitable[None]]] = {
    "data": data,
    "eof": eof,
    "full": full,
    "writable": writable,
    "timeout": timeout,
    "turn": turn,
    "result": result,
    "stop": stop,
    "abort": abort,
    "lost": lose,
}

GO_ON: dict[Phase, Callable[[Driven], Awaitable[None]]] = {
    Phase.BLOCKED: writable,
    Phase.QUEUED: turn,
    Phase.MESSAGE: data,
    Phase.RESOLVING: result,
    Phase.DELIVERING: result,
}


TABLE = read_table(Phase)
CASES = [(event, phase, word) for (event, phase), word in TABLE.items() if word != "-"]
NOTED = {"eof": Phase.CLOSING, "stop": Phase.CLOSING, "full": Phase.BLOCKED}
"""Where a note leads when the connection next waits for a command."""


def test_table_is_whole() -> None:
    """Each event has a cell for each phase but the last, in which nothing comes."""
    assert TABLE.keys() == {(e, p) for e in EVENTS for p in Phase if p is not Phase.CLOSED}
    assert PHASES.keys() == {*Phase} - {Phase.CLOSED}


@pytest.mark.parametrize(("event", "phase", "word"), CASES)
def test_cell(monkeypatch: pytest.MonkeyPatch, event: str, phase: Phase, word: str) -> None:
    """An event in a phase has the effect that the table gives."""
    if phase is Phase.QUEUED:
        monkeypatch.setattr(driver, "TIME_SLICE", 0)
    asyncio.run(_try(event, phase, word))


async def _try(event: str, phase: Phase, word: str) -> None:
    enter = closing_with_work if (event, phase) == ("result", Phase.CLOSING) else PHASES[phase]
    made = await enter()
    assert made.connection.phase is phase
    before = made.transport.sent
    await EVENTS[event](made)
    after = made.connection.phase
    match word:
        case "run":
            assert after not in {Phase.LOST, Phase.CLOSED}
            assert (after, made.transport.sent) != (phase, before)
        case "keep" | "note" | "nothing" | "drop" | "close":
            assert after is phase
            assert made.transport.sent == before
        case _:
            assert after is Phase[word]
    if word == "close":
        assert made.transport.closing
    if word == "note" and event in NOTED:
        await _go_on_to(made, NOTED[event])
    await _end(made)


async def _go_on_to(made: Driven, phase: Phase) -> None:
    for _ in range(4):
        if made.connection.phase is phase:
            return
        await GO_ON[made.connection.phase](made)
    raise AssertionError(f"{made.connection.phase} instead of {phase}")


async def _end(made: Driven) -> None:
    """Lose the connection, and make sure that nothing is left of it."""
    if made.connection.phase not in {Phase.LOST, Phase.CLOSED}:
        made.connection.abort()
        made.lose()
    await made.finish_work()
    assert made.connection.phase is Phase.CLOSED
    assert not len(made.sessions.connections)
    assert made.sessions.memory.left == 4 * SIZE


def test_timed() -> None:
    """In the timed phases, and in no other one, a session ends by time-out."""
    assert {p for p in Phase if TABLE.get(("timeout", p)) == "CLOSING"} == TIMED


def test_end_within_message() -> None:
    """A client that ends within a message, while its recipient is looked up, is not waited for."""

    async def run() -> None:
        made = await resolving()
        made.connection.data_received(b"DATA\r\nhello\r\n")
        made.connection.eof_received()
        await made.finish_work()
        assert made.connection.phase is Phase.CLOSING
        await _end(made)

    asyncio.run(run())


def test_aborted_delivery() -> None:
    """A delivery under way is carried to its end after an abort, and its memory is released."""

    async def run() -> list[Phase]:
        made = await closing_with_work()
        made.lose()
        phases = [made.connection.phase]
        await made.finish_work()
        assert made.sessions.memory.left == 4 * SIZE
        return [*phases, made.connection.phase]

    assert asyncio.run(run()) == [Phase.LOST, Phase.CLOSED]
