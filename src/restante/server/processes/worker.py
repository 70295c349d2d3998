"""A worker: a process that serves beside others like it, on sockets that it inherited."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.server import system
from restante.server.background import background_tasks
from restante.server.listener import accept_connections
from restante.server.processes import signals
from restante.server.processes.generation import close

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Any

    from structlog.typing import FilteringBoundLogger

    from restante.server.event_log import LogWriter
    from restante.server.limits.shared_limits import Shared
    from restante.server.processes.generation import WorkerGeneration

DRAIN = signal.SIGUSR1  # take no more connections, and end when the sessions have

GRACE = 0.1  # seconds in which connections that the kernel has just handed over come to be counted


@dataclass(slots=True, kw_only=True, eq=False)
class WorkerHandle:
    """A worker as its supervisor sees it."""

    crew: WorkerGeneration
    number: int  # among its crew; the first one has duties that are not to be done twice
    column: int  # where it counts in what workers share
    pid: int
    tells_ready: int  # a pipe's end
    ready: bool = False
    begun: float = field(default_factory=time.monotonic)
    kill_at: float | None = None  # when it is to end, and must have ended

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def is_ready(self) -> bool:
        """Tell whether it takes connections."""
        if not self.ready:
            with contextlib.suppress(BlockingIOError):
                self.ready = os.read(self.tells_ready, 1) != b""
        return self.ready


class ParentDeathPipe:
    """A pipe without a writer, which ends together with the supervisor, even after SIGKILL."""

    def __init__(self) -> None:
        self.end, self._kept = os.pipe()

    def detach(self) -> None:
        """Leave it to the supervisor to keep the pipe."""
        os.close(self._kept)

    def close(self) -> None:
        """Close both ends."""
        os.close(self.end)
        os.close(self._kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerResources:
    """What every worker inherits from its supervisor, across reloads."""

    log: FilteringBoundLogger
    writer: LogWriter  # of that log
    shared: Shared
    lifeline: ParentDeathPipe = field(default_factory=ParentDeathPipe)


def start(
    crew: WorkerGeneration, number: int, column: int, inherited: WorkerResources
) -> WorkerHandle:
    """Fork a worker. Raises OSError: the system has no room for one more."""
    tells_ready, ready = os.pipe()
    os.set_blocking(tells_ready, False)
    try:
        with signals.blocked_signals():
            pid = os.fork()
            if pid == 0:
                _live(crew, number, column, inherited, ready)
    except BaseException:
        os.close(tells_ready)
        raise
    finally:
        os.close(ready)
    return WorkerHandle(crew=crew, number=number, column=column, pid=pid, tells_ready=tells_ready)


def _live(
    crew: WorkerGeneration, number: int, column: int, inherited: WorkerResources, ready: int
) -> None:
    """Be a worker, to its end: what the supervisor has on its stack is not for this process."""
    status = 1
    try:
        _part_with_supervisor(inherited)
        inherited.shared.take(column)
        close(crew.foreign)
        serving = _serve(crew, number, inherited.lifeline.end, lambda: os.write(ready, b"."))
        with asyncio.Runner(loop_factory=system.loop_factory()) as runner:
            runner.run(serving)
        status = 0
    except BaseException as error:  # no code may run after this
        inherited.log.error("incident", what="a worker failed", exc_info=error)  # noqa: TRY400
    finally:
        inherited.writer.close()
        os._exit(status)


def _part_with_supervisor(inherited: WorkerResources) -> None:
    signals.restore_default_handlers()
    for number in (signal.SIGINT, signal.SIGHUP):  # of a terminal they come to all its processes
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.SIGNALS)
    inherited.lifeline.detach()
    inherited.writer.begin()


async def _serve(
    crew: WorkerGeneration, number: int, lifeline: int, ready: Callable[[], object]
) -> None:
    """Serve until a signal to finish or to stop, or until the supervisor ends."""
    service, timeouts = crew.service, crew.config.timeouts
    system.report_incidents(service.log, service.limit_log)
    stop, finish = _ends(lifeline)
    try:
        async with _duties(crew, number), accept_connections(service, crew.listens, crew.sockets):
            ready()
            await finish.wait()
        if not stop.is_set():
            await asyncio.sleep(GRACE)
            await _first(stop.wait(), service.connections.drain(timeouts.reload))
    finally:
        service.log.info("stopping", connections=len(service.connections))
        await service.connections.stop(timeouts.stop)


def _ends(lifeline: int) -> tuple[asyncio.Event, asyncio.Event]:
    """Return what says that the worker is to stop, and that it is to finish."""
    stop, finish = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(lifeline)
        stop.set()
        finish.set()

    loop.add_signal_handler(signal.SIGTERM, end)
    loop.add_signal_handler(DRAIN, finish.set)
    loop.add_reader(lifeline, end)
    return stop, finish


@contextlib.asynccontextmanager
async def _duties(crew: WorkerGeneration, number: int) -> AsyncIterator[None]:
    """Do what belongs to a worker beside POP3."""
    service = crew.service
    async with contextlib.AsyncExitStack() as stack:
        for companion, sockets in crew.companions:
            serving = companion.serve(sockets, service.store, service.authenticator, service.log)
            await stack.enter_async_context(serving)
        if number == 0:
            await stack.enter_async_context(background_tasks(crew.expiry, crew.certificates))
        yield


async def _first(*works: Coroutine[Any, Any, object]) -> None:
    """Wait for one of them, and give up the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
