"""A proxy on loopback that makes one fault at a chosen request, before PostgreSQL or S3.

Requests are counted from 1 over all the proxies of one `Injector`. So a scenario is run once to
see its requests, and then once for each fault at each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from faults.cluster.wires import Request, Streams, Wire
from support.thread import Stage, in_thread


class Fault(Enum):
    """A fault at a request."""

    NONE = "none"
    CUT_BEFORE = "cut before the request"
    CUT_REQUEST = "cut in the middle of the request"
    CUT_AFTER = "cut after the request, before its reply"
    CUT_WITHIN = "cut in the middle of the reply"
    DROP_REPLY = "reply dropped, then silence"
    ERROR = "refused by the peer"
    STALL = "silent from here on"
    GONE = "no connection from here on"
    KILL_BEFORE = "node killed before the request"
    KILL_AFTER = "node killed after the request, before its reply"
    STOP_BEFORE = "node stopped before the request"
    STOP_AFTER = "node stopped after the request, before its reply"


KILLS = (Fault.KILL_BEFORE, Fault.KILL_AFTER)
STOPS = (Fault.STOP_BEFORE, Fault.STOP_AFTER)
LASTING = (Fault.STALL, Fault.GONE)  # until heal()


@dataclass(frozen=True, slots=True)
class Plan:
    """A fault at the request with this number, counted among the beats or among all others.

    A second fault may follow at a later request, such as that of a second try.
    """

    at: int = 0
    fault: Fault = Fault.NONE
    beats: bool = False
    second_at: int = 0
    second: Fault = Fault.NONE

    def __str__(self) -> str:
        text = f"{self.fault.value} {'of beat ' if self.beats else ''}{self.at}"
        return f"{text}, then {self.second.value} {self.second_at}" if self.second_at else text

    @property
    def last_at(self) -> int:
        """The request of its last fault."""
        return self.second_at or self.at

    def at_request(self, number: int) -> Fault:
        """Return what happens at a request."""
        return {self.second_at: self.second, self.at: self.fault}.get(number, Fault.NONE)

    def has(self, faults: Sequence[Fault]) -> bool:
        """Return whether it has one of these faults."""
        return self.fault in faults or self.second in faults


@dataclass(slots=True)
class Met:
    """A request that came."""

    peer: str
    label: str
    fault: Fault = Fault.NONE


@dataclass
class Injector:
    """Counts the requests of a node, and says where the fault comes.

    `beats`: requests that a node makes by its own clock. They are counted apart, since their place
    among the others is another one each time.
    """

    beats: re.Pattern[str] = field(default_factory=lambda: re.compile(r"(?!)"))
    pid: int = 0  # of the node

    def __post_init__(self) -> None:
        self.happened = threading.Event()  # the request of the fault came
        self.signalled = threading.Event()  # the node got its signal
        self.plan(Plan())

    def plan(self, plan: Plan) -> None:
        """Begin to count anew."""
        self.current = plan
        self.journal: list[Met] = []
        self.beat_journal: list[Met] = []
        self.happened.clear()
        self.signalled.clear()

    def meet(self, peer: str, request: Request) -> Fault:
        """Count a request, and return what happens to it."""
        if not request.answered:
            return Fault.NONE
        is_beat = bool(self.beats.search(request.label))
        journal = self.beat_journal if is_beat else self.journal
        met = Met(peer, request.label)
        journal.append(met)
        if is_beat is self.current.beats:
            met.fault = self.current.at_request(len(journal))
        if met.fault is not Fault.NONE:
            self.happened.set()
        return met.fault

    def signal(self, number: signal.Signals) -> None:
        """Signal the node."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        self.signalled.set()


class CutError(Exception):
    """The proxy cuts a connection."""


class Proxy:
    """Listens on a port of loopback, and connects to `upstream` for each client."""

    def __init__(
        self,
        name: str,
        wire: Callable[[], Wire],
        upstream: Callable[[], Awaitable[Streams]],
        injector: Injector,
    ) -> None:
        self.name = name
        self.wire = wire
        self.upstream = upstream
        self.injector = injector
        self.fault = Fault.NONE  # a lasting one
        self.healed = asyncio.Event()
        self.port = 0
        self.busy = 0  # requests that are under way
        self._passed: dict[asyncio.Task[None] | None, _Passed] = {}

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Serve while the block runs."""
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._serve, "127.0.0.1", limit=2**26)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            self._heal()
            self._cut_all()
            await asyncio.gather(*filter(None, self._passed))

    def begin(self, fault: Fault) -> None:
        """Let a fault last until heal()."""
        self.fault = fault
        self.healed = asyncio.Event()
        if fault is Fault.GONE:
            self._cut_all()

    def heal(self) -> None:
        """End a lasting fault, from another thread.

        What was held up by silence is delivered now, as TCP does.
        """
        self._loop.call_soon_threadsafe(self._heal)

    def cut_all(self) -> None:
        """Cut every connection, from another thread."""
        self._loop.call_soon_threadsafe(self._cut_all)

    def _heal(self) -> None:
        self.fault = Fault.NONE
        self.healed.set()

    def _cut_all(self) -> None:
        for passed in self._passed.values():
            passed.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = _Passed(self, self.wire(), (reader, writer))
        self._passed[asyncio.current_task()] = passed
        try:
            await passed.run()
        except (CutError, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            passed.abort()
            del self._passed[asyncio.current_task()]


class _Passed:
    """One connection of a client, passed on."""

    def __init__(self, proxy: Proxy, wire: Wire, client: Streams) -> None:
        self._proxy = proxy
        self._wire = wire
        self._reader, self._writer = client
        self._upstream: Streams | None = None

    async def run(self) -> None:
        if self._proxy.fault is Fault.GONE:
            return
        while True:
            request = await self._next_request()
            fault = self._proxy.injector.meet(self._proxy.name, request)
            self._proxy.busy += 1
            try:
                await self._handle(request, fault)
            finally:
                self._proxy.busy -= 1
            if not request.answered:
                return

    def abort(self) -> None:
        """Cut both sides."""
        self._writer.transport.abort()
        if self._upstream:
            self._upstream[1].transport.abort()

    async def _next_request(self) -> Request:
        """Return the next request; pass on what the peer says meanwhile. Raises CutError."""
        request = asyncio.create_task(self._wire.read_request(self._reader))
        try:
            while self._upstream and not request.done():
                said = asyncio.create_task(self._upstream[0].read(2**16))
                await asyncio.wait({request, said}, return_when=asyncio.FIRST_COMPLETED)
                said.cancel()
                await asyncio.wait({said})  # only one may read at a time
                if not said.cancelled():
                    if not said.result():
                        raise CutError
                    self._writer.write(said.result())
            return await request
        finally:
            request.cancel()

    async def _handle(self, request: Request, fault: Fault) -> None:
        await self._before(request, fault)
        if fault is Fault.ERROR:
            self._writer.write(self._wire.error)
            await self._writer.drain()
            if self._wire.ends_with_error:
                self._writer.close()
                raise CutError
            return
        if self._upstream is None:
            self._upstream = await self._proxy.upstream()
        peer, to_peer = self._upstream
        half = len(request.octets) // 2
        to_peer.write(request.octets[: half if fault is Fault.CUT_REQUEST else None])
        await to_peer.drain()
        if fault is Fault.CUT_REQUEST:
            to_peer.close()
            raise CutError
        if fault is Fault.CUT_AFTER:
            self._writer.transport.abort()
        if request.answered:
            await self._after(await self._wire.read_reply(peer, request), fault)

    async def _before(self, request: Request, fault: Fault) -> None:
        injector = self._proxy.injector
        match fault:
            case Fault.CUT_BEFORE:
                raise CutError
            case Fault.KILL_BEFORE:
                injector.signal(signal.SIGKILL)
                raise CutError
            case Fault.STOP_BEFORE:
                injector.signal(signal.SIGSTOP)
                self._proxy.begin(fault)
                await self._proxy.healed.wait()
            case Fault.STALL | Fault.GONE:
                self._proxy.begin(fault)
        if self._proxy.fault is Fault.STALL:
            await self._proxy.healed.wait()
        if self._proxy.fault is Fault.GONE:
            raise CutError

    async def _after(self, reply: bytes, fault: Fault) -> None:
        match fault:
            case Fault.CUT_AFTER:
                raise CutError
            case Fault.KILL_AFTER:
                self._proxy.injector.signal(signal.SIGKILL)
                raise CutError
            case Fault.STOP_AFTER:
                self._proxy.injector.signal(signal.SIGSTOP)
            case Fault.CUT_WITHIN:
                self._writer.write(reply[: len(reply) // 2])
                await self._writer.drain()
                self._writer.close()
                raise CutError
            case Fault.DROP_REPLY:
                await self._reader.read()  # whatever it says: until it hangs up
                raise CutError
        self._writer.write(reply)
        await self._writer.drain()


@contextlib.contextmanager
def proxies(*several: Proxy) -> Iterator[None]:
    """Run proxies in a thread while the block runs."""

    async def run(stage: Stage[None]) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for proxy in several:
                await stack.enter_async_context(proxy.listening())
            await stage.show(None)

    with in_thread(run):
        yield
