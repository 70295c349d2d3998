"""The address of metrics and health: opened once, and answered by each process that serves."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from restante.net.addresses import format_own_address
from restante.server.config.addresses import parse_local_address
from restante.server.listener import ListenError, explain_listening, open_sockets
from restante.server.metrics import catalogue
from restante.server.metrics.exposition import MetricCollector
from restante.server.metrics.http_connection import HttpConnection, HttpReply, HttpService
from restante.server.metrics.readiness import Readiness
from restante.server.system.accepting import AcceptsConnections, accept_at, stop_accepting
from restante.server.system.unix_sockets import (
    BACKLOG,
    UnixSockets,
    close_replaced,
    serve_unix_socket,
)
from restante.storage.interfaces import HasFigures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from structlog.typing import FilteringBoundLogger

    from restante.server.config.server_sections import MetricsSection
    from restante.server.context import ServerContext
    from restante.server.metrics.memory import MetricMemory
    from restante.server.metrics.recorder import Recorder
    from restante.server.system.activation import ActivatedSockets
    from restante.server.tls.certificates import Certificates
    from restante.storage.interfaces import Store

SAMPLE_EVERY = 5.0  # seconds between two samples of the store

ALIVE = HttpReply(200, b"alive\n")
READY = HttpReply(200, b"ready\n")


class ServedMetrics(NamedTuple):
    """The metrics of this process while they are served."""

    readiness: Readiness
    service: HttpService
    servers: Sequence[AcceptsConnections]
    memory: MetricMemory

    async def stop_accepting(self) -> None:
        """Accept no more clients."""
        self.memory.put(catalogue.WORKERS, number=0)
        await stop_accepting(self.servers)

    async def drain(self) -> None:
        """Accept no more clients, and wait until those that are connected have their answers."""
        await self.stop_accepting()
        await self.service.drain()


@dataclass(kw_only=True, eq=False)
class MetricsListener:
    """Listens for programs that ask how the server is. `recorder` counts what it does."""

    settings: MetricsSection
    recorder: Recorder
    activated: ActivatedSockets | None = None  # by the service manager
    _files: UnixSockets = field(init=False, default_factory=UnixSockets)
    _sockets: Sequence[socket.socket] = field(init=False, default=())

    def open(self) -> None:
        """Listen, before there are workers. Raises ListenError."""
        assert self.settings.listen is not None
        place = parse_local_address(self.settings.listen)
        if not isinstance(place, Path):
            self._sockets = open_sockets(place, self.activated)
            return
        self._sockets = self.activated.take([str(place)]) if self.activated else []
        if self._sockets:
            return
        try:
            group = self.settings.socket_group
            self._sockets = [self._files.open(place, self.settings.socket_mode, group)]
        except (OSError, LookupError) as error:
            reason = explain_listening(error, place)
            raise ListenError(f"cannot listen for metrics at {place}: {reason}") from error

    async def _accept(
        self,
        connect: functools.partial[HttpConnection],
        opened: socket.socket,
        log: FilteringBoundLogger,
    ) -> AcceptsConnections:
        if opened.family == socket.AF_UNIX:
            return await serve_unix_socket(connect, opened, self._files, log)
        return await accept_at(connect, opened, BACKLOG)

    def replace_lost(self, log: FilteringBoundLogger) -> bool:
        """Open a socket anew whose file another program removed; return whether one was opened."""
        before, self._sockets = self._sockets, self._files.replace_lost(self._sockets, log)
        return close_replaced(before, self._sockets)

    def close(self) -> None:
        """Close the sockets, and remove the file of a Unix socket."""
        for one in self._sockets:
            one.close()
        self._files.close()

    @contextlib.asynccontextmanager
    async def serve(
        self, context: ServerContext, certificates: Sequence[Certificates]
    ) -> AsyncIterator[ServedMetrics]:
        """Answer while the block runs, which notes that POP3 is served, and drains."""
        readiness, memory = Readiness(context), self.recorder.memory
        collector = MetricCollector(
            memory=memory,
            connections=lambda: context.limits.connections.count(""),
            certificates=certificates,
        )
        service = _service(context, readiness, collector)
        connect = functools.partial(HttpConnection, service)
        servers = [await self._accept(connect, one, context.log) for one in self._sockets]
        context.listening.extend(("metrics", server) for server in servers)
        for one in self._sockets:
            context.log.info("listening", address=format_own_address(one), way="metrics")
        memory.put(catalogue.WORKERS, number=1)
        sampling = asyncio.create_task(_sample(context.store, memory))
        served = ServedMetrics(readiness, service, servers, memory)
        try:
            yield served
        finally:
            sampling.cancel()
            try:
                await served.stop_accepting()
            finally:
                service.close()


async def _sample(store: Store, memory: MetricMemory) -> None:
    """Note the figures of the store, again and again, if it has any."""
    while isinstance(store, HasFigures):
        figures = store.figures()
        memory.put(catalogue.CLUSTER_LEASES, number=figures.leases)
        memory.put(catalogue.CLUSTER_CONNECTIONS, "used", number=figures.used)
        memory.put(catalogue.CLUSTER_CONNECTIONS, "idle", number=figures.idle)
        memory.put(catalogue.CLUSTER_DOWN, number=figures.down)
        await asyncio.sleep(SAMPLE_EVERY)


def _service(
    context: ServerContext, readiness: Readiness, collector: MetricCollector
) -> HttpService:
    async def metrics(accepted: str) -> HttpReply:
        return HttpReply(200, *collector.render(accepted))

    async def livez(_accepted: str) -> HttpReply:
        return ALIVE

    async def readyz(_accepted: str) -> HttpReply:
        problems = await readiness.find_problems()
        if not problems:
            return READY
        return HttpReply(503, "".join(f"{problem}\n" for problem in problems).encode())

    return HttpService(
        answers={"/metrics": metrics, "/livez": livez, "/readyz": readyz},
        on_error=lambda error: context.log.error(
            "incident", what="metrics cannot be shown", exc_info=error
        ),
    )
