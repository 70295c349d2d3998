"""The table of phases and events, and the code, agree."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, cast

import pytest

from restante.server.connection import connection as driver
from restante.server.connection.connection import Connection
from restante.server.connection.phases import IDLE
from restante.server.connection.phases import ConnectionPhase as Phase
from restante.server.connection.transport import ListenerPolicy
from restante.server.context import ServerContext
from restante.server.log import event_log
from server.doubles import ScriptedStore, SlowAccounts
from support.phases import Transport, read_table

ADDRESS = "192.0.2.1"
CLEAR = ListenerPolicy(clear_text="always")
PROXIED = ListenerPolicy(clear_text="always", proxies=(ip_network(ADDRESS),))
LOG_IN = b"USER ann\r\nPASS secret\r\n"


class Certificates:
    """No certificate: no handshake gets to the point where it is needed."""

    several = False

    @staticmethod
    def context() -> ssl.SSLContext:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


@dataclass
class Bench:
    """A connection, and what it works with."""

    connection: Connection
    transport: Transport
    accounts: SlowAccounts
    store: ScriptedStore
    context: ServerContext

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def finish_work(self) -> None:
        self.accounts.gate.set()
        if self.store.gate is not None:
            self.store.gate.set()
        await self.settle()

    async def log_in(self) -> None:
        self.connection.data_received(LOG_IN)
        await self.finish_work()

    def lose(self) -> None:
        self.transport.closing = True
        self.connection.connection_lost(None)


def bench(policy: ListenerPolicy = CLEAR) -> Bench:
    log, writer = event_log.configure_log("text", io.StringIO())
    writer.close()
    accounts, store = SlowAccounts(), ScriptedStore()
    context = ServerContext(store=store, authenticator=accounts, log=log)
    made = Bench(Connection(context, policy), Transport(ADDRESS), accounts, store, context)
    made.connection.connection_made(made.transport)
    return made


async def proxy() -> Bench:
    return bench(PROXIED)


async def handshake() -> Bench:
    certificates = cast("Any", Certificates())
    return bench(ListenerPolicy(certificates=certificates, implicit_tls=True))


async def command() -> Bench:
    return bench()


async def blocked() -> Bench:
    made = bench()
    made.transport.unsent = 100_000
    made.connection.pause_writing()
    return made


async def queued() -> Bench:
    made = bench()
    made.connection.data_received(b"CAPA\r\n" * 3)
    return made


async def working() -> Bench:
    made = bench()
    made.connection.data_received(LOG_IN)
    await made.settle()
    return made


async def closing() -> Bench:
    made = bench()
    made.connection.data_received(b"GET / HTTP/1.1\r\n")
    return made


async def closing_with_work() -> Bench:
    made = await working()
    made.connection.abort()
    return made


async def removing() -> Bench:
    made = bench()
    await made.store.deliver("ann", b"Subject: a\n\na\n")
    await made.log_in()
    made.store.gate = asyncio.Event()
    made.connection.data_received(b"DELE 1\r\nQUIT\r\n")
    return made


async def lost() -> Bench:
    made = await removing()
    made.lose()
    return made


PHASES: dict[Phase, Callable[[], Awaitable[Bench]]] = {
    Phase.PROXY: proxy,
    Phase.HANDSHAKE: handshake,
    Phase.COMMAND: command,
    Phase.BLOCKED: blocked,
    Phase.QUEUED: queued,
    Phase.WORKING: working,
    Phase.CLOSING: closing,
    Phase.LOST: lost,
}


async def data(made: Bench) -> None:
    parts = {Phase.PROXY: b"PROXY ", Phase.HANDSHAKE: b"\x16\x03\x01"}
    made.connection.data_received(parts.get(made.connection.phase, b"CAPA\r\n"))


async def eof(made: Bench) -> None:
    assert made.connection.eof_received() is (made.connection.phase is not Phase.CLOSING)


async def full(made: Bench) -> None:
    made.transport.unsent = 100_000
    made.connection.pause_writing()


async def writable(made: Bench) -> None:
    made.transport.unsent = 0
    made.connection.resume_writing()


async def timeout(made: Bench) -> None:
    made.connection.on_timeout()


async def turn(made: Bench) -> None:
    made.connection.on_turn()


async def result(made: Bench) -> None:
    await made.finish_work()


async def stop(made: Bench) -> None:
    made.context.connections.stopping = True
    made.connection.stop()


async def abort(made: Bench) -> None:
    made.connection.abort()


async def lose(made: Bench) -> None:
    made.lose()


EVENTS: dict[str, Callable[[Bench], Awaitable[None]]] = {
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

GO_ON: dict[Phase, Callable[[Bench], Awaitable[None]]] = {
    Phase.BLOCKED: writable,
    Phase.QUEUED: turn,
    Phase.WORKING: result,
}


TABLE = read_table(Phase)
CASES = [(event, phase, word) for (event, phase), word in TABLE.items() if word != "-"]
RUNS_TO = {
    Phase.COMMAND, Phase.BLOCKED, Phase.QUEUED, Phase.WORKING, Phase.HANDSHAKE, Phase.CLOSING,
}  # fmt: skip


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
            assert after in RUNS_TO
            assert (after, made.transport.sent) != (phase, before)
        case "patience":
            assert after in {phase, Phase.CLOSING}
        case "decode" | "keep" | "note" | "wait" | "nothing" | "drop" | "close":
            assert after is phase
            assert made.transport.sent == before
        case _:
            assert after is Phase[word]
    if word == "note":
        while made.connection.phase in GO_ON:
            await GO_ON[made.connection.phase](made)
        assert made.connection.phase is Phase.CLOSING
    if made.connection.phase is not Phase.CLOSED:
        made.connection.abort()
        if made.connection.phase is not Phase.LOST:
            made.lose()
        await made.finish_work()
    assert made.connection.phase is Phase.CLOSED
    assert not made.context.connections


def test_idle() -> None:
    """In the idle phases the next word is the client's: end of file, time-out and stop end them."""
    for event in ("eof", "timeout", "stop"):
        ends = {p for p in Phase if TABLE.get((event, p)) == "CLOSING"}
        assert ends == IDLE


def test_removal_is_not_timed_out() -> None:
    """A removal has no time limit: the server must know what became of it."""

    async def run() -> Phase:
        made = await removing()
        made.connection.on_timeout()
        phase = made.connection.phase
        await made.finish_work()
        assert b"Logging out" in made.transport.sent
        return phase

    assert asyncio.run(run()) is Phase.WORKING


def test_header_and_handshake() -> None:
    """A whole PROXY header begins the session, a wrong one or a failed handshake ends it."""

    async def after(made: Bench, octets: bytes) -> Phase:
        made.connection.data_received(octets)
        return made.connection.phase

    async def run() -> list[Phase]:
        header = b"PROXY TCP4 198.51.100.1 192.0.2.2 1 110\r\n"
        return [
            await after(await proxy(), header),
            await after(await proxy(), b"USER ann\r\n"),
            await after(await handshake(), b"USER ann\r\n"),
        ]

    assert asyncio.run(run()) == [Phase.COMMAND, Phase.CLOSING, Phase.CLOSING]
