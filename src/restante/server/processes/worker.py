"""A worker: a process that serves at inherited sockets, beside other workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.server.composition.services import running_services
from restante.server.listener import accept_connections, close_sockets
from restante.server.processes import signals
from restante.server.system import process as system
from restante.server.tasks.background import background_tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from structlog.typing import FilteringBoundLogger

    from restante.server.limits.shared_limits import SharedLimits
    from restante.server.log.event_log import LogWriter
    from restante.server.metrics.listener import MetricsListener
    from restante.server.processes.generation import WorkerGeneration
    from restante.server.tasks.steady_clock import SteadyClock

DRAIN = signal.SIGUSR1  # accept no more connections, and end with the last session

BEAT = 5.0  # seconds between two signs of life


@dataclass(slots=True, kw_only=True, eq=False)
class WorkerHandle:
    """A worker as its supervisor sees it."""

    generation: WorkerGeneration
    number: int  # among its generation; number 0 also runs the background tasks
    column: int  # of the shared table: only this worker counts there
    pid: int
    pipe: int  # its reading end: an octet comes once the worker is ready, and at each beat
    ready: bool = False
    heard_at: float = 0.0  # time.monotonic() of the last octet
    begun: float = field(default_factory=time.monotonic)
    kill_at: float | None = None  # time.monotonic(); set once it was asked to end

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def listen(self) -> None:
        """Read the signs of life that came. The first one means that it accepts connections."""
        with contextlib.suppress(BlockingIOError):
            if os.read(self.pipe, 4096):
                self.ready = True
                self.heard_at = time.monotonic()


class ParentDeathPipe:
    """A pipe whose end shows the end of the supervisor, even by SIGKILL. Nothing is written."""

    def __init__(self) -> None:
        self.end, self._kept = os.pipe()

    def detach(self) -> None:
        """Close the end that only the supervisor may keep."""
        os.close(self._kept)

    def close(self) -> None:
        """Close both ends."""
        os.close(self.end)
        os.close(self._kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerResources:
    """The resources that a worker inherits from its supervisor, across reloads."""

    log: FilteringBoundLogger
    writer: LogWriter  # of that log
    shared: SharedLimits
    clock: SteadyClock  # the supervisor's: a worker that starts after a jump knows of it
    metrics: MetricsListener | None = None
    death_pipe: ParentDeathPipe = field(default_factory=ParentDeathPipe)

    def clear_worker(self, column: int) -> None:
        """Free all that a worker which has ended held in shared memory."""
        self.shared.clear_worker(column)
        if self.metrics is not None:
            self.metrics.recorder.memory.clear_gauges(column)


def start_worker(
    generation: WorkerGeneration, number: int, column: int, inherited: WorkerResources
) -> WorkerHandle:
    """Fork a worker. Raises OSError: a limit of processes, memory or files is reached."""
    pipe, end = os.pipe()
    for file in (pipe, end):
        os.set_blocking(file, False)
    try:
        with signals.blocked_signals():
            pid = os.fork()
            if pid == 0:
                _run_worker(generation, number, column, inherited, end)
    except BaseException:
        os.close(pipe)
        raise
    finally:
        os.close(end)
    return WorkerHandle(generation=generation, number=number, column=column, pid=pid, pipe=pipe)


def _run_worker(
    generation: WorkerGeneration, number: int, column: int, inherited: WorkerResources, pipe: int
) -> None:
    """Run the worker and exit. The child must never return into the stack of the supervisor."""
    status = 1
    try:
        _detach_from_supervisor(inherited)
        inherited.shared.bind_worker(column)
        if inherited.metrics is not None:
            inherited.metrics.recorder.memory.bind_process(column)
        close_sockets(generation.unused_sockets)
        serving = _serve(generation, number, inherited, pipe)
        with asyncio.Runner(loop_factory=system.loop_factory()) as runner:
            runner.run(serving)
        status = 0
    except BaseException as error:  # no code may run after this
        inherited.log.error("incident", what="a worker failed", exc_info=error)  # noqa: TRY400
    finally:
        inherited.writer.close()
        os._exit(status)


def _detach_from_supervisor(inherited: WorkerResources) -> None:
    signals.restore_default_handlers()
    for number in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to all its processes
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.SIGNALS)
    inherited.death_pipe.detach()
    inherited.writer.begin()


async def _serve(
    generation: WorkerGeneration, number: int, inherited: WorkerResources, pipe: int
) -> None:
    """Serve until a signal to drain or to stop, or until the supervisor ends."""
    context, timeouts = generation.context, generation.config.timeouts
    system.report_incidents(context.log, context.limit_log)
    stop, drain = _end_events(inherited.death_pipe.end)
    async with running_services(
        generation.config, context, generation.certificates, inherited.metrics
    ) as served_metrics:
        if served_metrics is not None:  # the sockets for clients are open since before the fork
            served_metrics.readiness.note_listening()
        try:
            async with (
                _extra_services(generation, number, inherited.clock),
                accept_connections(context, generation.listen_sockets()),
            ):
                _beat(pipe)
                await drain.wait()
            if not stop.is_set():
                draining = [context.connections.drain(timeouts.reload)]
                if served_metrics is not None:  # the workers of the new configuration answer
                    draining.append(served_metrics.drain())
                await _wait_for_first(stop.wait(), asyncio.gather(*draining))
        finally:
            context.log.info("stopping", connections=len(context.connections))
            await context.connections.stop(timeouts.stop)


def _beat(pipe: int) -> None:
    """Send the supervisor a sign of life, now and after each `BEAT`, as long as the loop runs."""
    with contextlib.suppress(OSError):  # a supervisor that is stopped reads nothing
        os.write(pipe, b".")
    asyncio.get_running_loop().call_later(BEAT, _beat, pipe)


def _end_events(death_pipe: int) -> tuple[asyncio.Event, asyncio.Event]:
    """Return the events stop and drain, which signals and the end of the supervisor set."""
    stop, drain = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(death_pipe)
        stop.set()
        drain.set()

    loop.add_signal_handler(signal.SIGTERM, end)
    loop.add_signal_handler(DRAIN, drain.set)
    loop.add_reader(death_pipe, end)
    return stop, drain


@contextlib.asynccontextmanager
async def _extra_services(
    generation: WorkerGeneration, number: int, clock: SteadyClock
) -> AsyncIterator[None]:
    """Run what a worker does beside POP3: other listeners, and the background tasks of number 0."""
    context = generation.context
    async with contextlib.AsyncExitStack() as stack:
        for listener, sockets in generation.extra_listeners:
            await stack.enter_async_context(listener.serve(sockets, context))
        if number == 0:
            await stack.enter_async_context(
                background_tasks(
                    context, generation.expiry, generation.certificates, clock.for_worker()
                )
            )
        yield


async def _wait_for_first(*works: Awaitable[object]) -> None:
    """Wait for the first of them, and cancel the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
