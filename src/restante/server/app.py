"""A whole server, from its configuration to the signal that ends it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from restante.net.addresses import format_own_address
from restante.server.composition import components
from restante.server.composition.services import running_services
from restante.server.config.server_sections import MAX_WORKERS
from restante.server.connection.connection import Connection
from restante.server.listener import serve_listeners
from restante.server.log import event_log
from restante.server.system.process import (
    SLACK,
    available_cores,
    end_within,
    limit_arenas,
    loop_factory,
    raise_file_limit,
    report_incidents,
    shorten_switch_interval,
)
from restante.server.system.service_manager import NOT_RELOADED, SERVING, ServiceManager
from restante.server.tasks.background import background_tasks
from restante.server.tasks.steady_clock import SteadyClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from structlog.typing import FilteringBoundLogger

    from restante.server.config.schema import Config
    from restante.server.context import ServerContext
    from restante.server.extra_listener import ExtraListener, OpenedListeners
    from restante.server.listener import ConnectionFactory
    from restante.server.metrics.listener import MetricsListener
    from restante.server.policies import ClearText
    from restante.server.processes.generation import WorkerGeneration
    from restante.server.tls.certificates import Certificates

ReadyCallback: TypeAlias = "Callable[[list[str]], None]"
LoadConfig: TypeAlias = "Callable[[], Config]"

NO_TLS: dict[ClearText, str] = {
    "loopback": "cleartext passwords are accepted from this machine only",
    "never": "login.clear_text rejects cleartext passwords from all clients; set tls.certificates",
    "always": "",
}
"""The warning at the start of a server without a certificate, by `login.clear_text`."""


def run(  # noqa: PLR0913  # a server has as many parts
    config: Config,
    on_ready: ReadyCallback = lambda _: None,
    extra_listeners: Sequence[ExtraListener] = (),
    load_config: LoadConfig | None = None,
    manager: ServiceManager | None = None,
    *,
    connection: ConnectionFactory = Connection,
) -> None:
    """Serve until SIGTERM or SIGINT; `on_ready` gets the addresses once connections are accepted.

    `load_config` reads the configuration again on SIGHUP. Workers are then replaced. A server
    without workers loads its certificates, and logs the changes that require a restart. Without
    `load_config`, the server belongs to its terminal, and ends with it. `connection` makes the
    connections of a server without workers.

    Raises ConfigError: files that the configuration names cannot be used. Raises ListenError.
    """
    workers = available_cores() if config.server.workers == "auto" else config.server.workers
    manager = manager or ServiceManager()
    application = _Application(config, on_ready, extra_listeners, load_config, manager, connection)
    if workers == 1:
        application.run_alone()
    else:
        application.run_workers(min(workers, MAX_WORKERS))


@dataclass(frozen=True, slots=True, eq=False)
class _Application:
    """A server in one process or several, by the arguments of `run`."""

    config: Config
    on_ready: ReadyCallback
    extra_listeners: Sequence[ExtraListener]
    load_config: LoadConfig | None
    manager: ServiceManager
    connection: ConnectionFactory

    def run_alone(self) -> None:
        """Serve in this process. Raises ConfigError, ListenError."""
        raise_file_limit()  # before the limits of connections are counted
        metrics = components.build_metrics(self.config, self.manager.sockets)
        observer = metrics.recorder if metrics else None
        log, writer = event_log.configure_log(self.config.log.format, observer=observer)
        try:
            context = components.build_context(self.config, log, observer=observer)
            components.prepare_control(self.config)
            limit_arenas()
            shorten_switch_interval()
            with (
                _open_extra_listeners(self.extra_listeners) as opened,
                _open_metrics(metrics),
                asyncio.Runner(loop_factory=loop_factory()) as runner,
            ):
                runner.run(self._serve(context, opened, metrics))
        finally:
            writer.close()

    async def _serve(
        self, context: ServerContext, opened: OpenedListeners, metrics: MetricsListener | None
    ) -> None:
        config, manager = self.config, self.manager
        loop = asyncio.get_running_loop()
        report_incidents(context.log, context.limit_log)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        listens, certificates = components.build_listeners(config, context.log)
        listens = [replace(listen, connection=self.connection) for listen in listens]
        on_hangup = stop.set
        if self.load_config is not None:
            on_hangup = functools.partial(
                _reload, config, self.load_config, certificates, context.log, manager
            )
        loop.add_signal_handler(signal.SIGHUP, on_hangup)
        expiry = components.build_expiry(config, context)
        async with (
            running_services(config, context, certificates, metrics) as served_metrics,
            contextlib.AsyncExitStack() as stack,
        ):
            for listener, sockets in opened:
                await stack.enter_async_context(listener.serve(sockets, context))
            opened_sockets = await stack.enter_async_context(
                serve_listeners(context, listens, config.timeouts.stop, manager.sockets)
            )
            addresses = [format_own_address(socket) for socket in opened_sockets]
            _log_addresses(config, addresses, context.log, has_tls=bool(certificates))
            if served_metrics is not None:
                served_metrics.readiness.note_listening()
            self._report_ready(addresses, context.log)
            async with background_tasks(context, expiry, certificates), manager.staying_alive():
                await stop.wait()
                manager.stopping()
                end_within(config.timeouts.stop + SLACK, context.log)
            context.log.info("stopping", connections=len(context.connections))

    def run_workers(self, count: int) -> None:
        """Supervise worker processes. Raises ConfigError, ListenError."""
        from restante.server.limits.process_lock import ProcessLock
        from restante.server.limits.shared_limits import SharedLimits
        from restante.server.processes.supervisor import MAX_GENERATIONS, Supervisor
        from restante.server.processes.worker import WorkerResources

        # The lock before the fork: what all workers share must exist before the first of them. A
        # lock or a table that a worker makes is its own, and two workers would each count to the
        # limit. No thread runs before a fork either: a lock that it holds at that moment is never
        # released.
        config = self.config
        columns = MAX_GENERATIONS * count
        metrics = components.build_metrics(config, self.manager.sockets, columns + 1)
        observer = None
        if metrics is not None:
            observer = metrics.recorder
            observer.memory.bind_process(columns)  # the supervisor's own
        log, writer = event_log.configure_shared_log(config.log.format, ProcessLock(), observer)
        shared = SharedLimits(columns, config.limits.connections)
        inherited = WorkerResources(
            log=log, writer=writer, shared=shared, clock=SteadyClock(log), metrics=metrics
        )
        raise_file_limit()
        limit_arenas()
        shorten_switch_interval()
        serving = False

        def report_ready(generation: WorkerGeneration) -> None:
            nonlocal serving
            addresses = generation.addresses()
            has_tls = bool(generation.certificates)
            _log_addresses(generation.config, addresses, log, has_tls=has_tls)
            if serving:
                log.info("reloaded")
                self.manager.end_reload(SERVING)
            else:
                self._report_ready(addresses, log)
            serving = True

        load_config = self.load_config or (lambda: config)
        with _open_extra_listeners(self.extra_listeners) as opened, _open_metrics(metrics):
            Supervisor(count, inherited, opened, load_config, self.manager).run(
                config, report_ready
            )

    def _report_ready(self, addresses: list[str], log: FilteringBoundLogger) -> None:
        """Report that connections are accepted, and warn where none are."""
        for name in self.manager.sockets.close():
            log.warning("socket_not_used", socket=name)
        self.on_ready(addresses)
        self.manager.ready()


def _reload(
    config: Config,
    load_config: LoadConfig,
    certificates: Sequence[Certificates],
    log: FilteringBoundLogger,
    manager: ServiceManager,
) -> None:
    """Load the certificates again, and warn if other settings have changed, too."""
    manager.reloading()
    try:
        loaded = load_config()
        components.reload(certificates)
    except Exception as error:  # noqa: BLE001  # whatever it is, the server goes on
        components.log_not_reloaded(log, error)
        manager.end_reload(NOT_RELOADED)
        return
    if loaded != config:
        what = "without workers, a reload loads only certificates; restart the server for the rest"
        log.warning("reload_is_partial", what=what)
    log.info("reloaded")
    manager.end_reload(SERVING)


def _log_addresses(
    config: Config, addresses: list[str], log: FilteringBoundLogger, *, has_tls: bool
) -> None:
    for address in addresses:
        log.info("listening", address=address)
    if not has_tls and (what := NO_TLS[config.login.clear_text]):
        log.warning("no_tls", what=what)


@contextlib.contextmanager
def _open_extra_listeners(extra_listeners: Sequence[ExtraListener]) -> Iterator[OpenedListeners]:
    """Open the other listeners before there are workers or a loop, and close them in the end."""
    with contextlib.ExitStack() as stack:
        opened = []
        for listener in extra_listeners:
            stack.callback(listener.close)
            opened.append((listener, listener.open()))
        yield opened


@contextlib.contextmanager
def _open_metrics(metrics: MetricsListener | None) -> Iterator[None]:
    """Open the address of metrics in the same way."""
    if metrics is None:
        yield
        return
    with contextlib.closing(metrics):
        metrics.open()
        yield
