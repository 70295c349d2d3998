"""A whole server, from its configuration to the signal that ends it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import sys
from typing import TYPE_CHECKING, TypeAlias

from restante.net.addresses import format_host_port
from restante.server import components, event_log
from restante.server.background import background_tasks
from restante.server.config.loader import ConfigError
from restante.server.config.schema import MOST_WORKERS
from restante.server.listener import serve_listeners
from restante.server.system import (
    SLACK,
    available_cores,
    end_within,
    loop_factory,
    raise_file_limit,
    report_incidents,
    shorten_switch_interval,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from structlog.typing import FilteringBoundLogger

    from restante.server.config.schema import Config
    from restante.server.context import ServerContext
    from restante.server.extra_listener import ExtraListener
    from restante.server.processes.generation import WorkerGeneration
    from restante.server.tls.certificates import Certificates

ReadyCallback: TypeAlias = "Callable[[list[str]], None]"
LoadConfig: TypeAlias = "Callable[[], Config]"
Opened: TypeAlias = "Sequence[tuple[ExtraListener, Sequence[socket.socket]]]"


def run(
    config: Config,
    on_ready: ReadyCallback = lambda _: None,
    companions: Sequence[ExtraListener] = (),
    renew: LoadConfig | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; `on_ready` gets the addresses once connections are taken.

    `renew` reads the configuration again on SIGHUP. Where there are workers, they are replaced;
    otherwise certificates are loaded, and the log reports changes that require a restart. Without
    `renew`, the server belongs to its terminal, and ends with it.
    Raises ConfigError: files that the configuration names cannot be used. Raises ListenError.
    """
    workers = available_cores() if config.server.workers == "auto" else config.server.workers
    if workers == 1:
        _run_alone(config, on_ready, companions, renew)
    else:
        renew = renew or (lambda: config)
        _run_workers(config, min(workers, MOST_WORKERS), on_ready, companions, renew)


def _run_alone(
    config: Config,
    on_ready: ReadyCallback,
    companions: Sequence[ExtraListener],
    renew: LoadConfig | None,
) -> None:
    log, writer = event_log.configure_log(config.log.format)
    try:
        service = components.build_context(config, log)
        raise_file_limit()
        shorten_switch_interval()
        with (
            _open_companions(companions) as opened,
            asyncio.Runner(loop_factory=loop_factory()) as runner,
        ):
            runner.run(_serve(config, service, on_ready, opened, renew))
    finally:
        writer.close()


def _run_workers(
    config: Config,
    workers: int,
    on_ready: ReadyCallback,
    companions: Sequence[ExtraListener],
    renew: LoadConfig,
) -> None:
    if sys.platform != "linux":
        raise ConfigError(["server.workers: more than one worker is supported on Linux only"])
    from restante.server.limits.process_lock import ProcessLock
    from restante.server.limits.shared_limits import Shared
    from restante.server.processes.supervisor import CREWS, Supervisor
    from restante.server.processes.worker import WorkerResources

    # The lock before the fork: what all workers share must exist before the first of them. A lock
    # or a table that a worker makes is its own, and two workers would each count to the limit. No
    # thread runs before a fork either: a lock that it holds at that moment is never released.
    log, writer = event_log.configure_shared_log(config.log.format, ProcessLock())
    shared = Shared(CREWS * workers, config.limits.connections)
    inherited = WorkerResources(log=log, writer=writer, shared=shared)
    raise_file_limit()
    shorten_switch_interval()
    told: list[WorkerGeneration] = []

    def tell(crew: WorkerGeneration) -> None:
        _announce(crew.config, crew.addresses(), log, has_tls=bool(crew.certificates))
        if told:
            log.info("reloaded")
        else:
            on_ready(crew.addresses())
        told[:] = [crew]

    with _open_companions(companions) as opened:
        Supervisor(workers, inherited, opened, renew).run(config, tell)


async def _serve(
    config: Config,
    service: ServerContext,
    on_ready: ReadyCallback,
    opened: Opened,
    renew: LoadConfig | None,
) -> None:
    loop = asyncio.get_running_loop()
    report_incidents(service.log, service.limit_log)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    listens, certificates = components.build_listeners(config, service.log)
    hang_up = stop.set
    if renew is not None:
        hang_up = functools.partial(_reload, config, renew, certificates, service.log)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    expiry = components.build_expiry(config, service)
    async with contextlib.AsyncExitStack() as stack:
        for companion, sockets in opened:
            await stack.enter_async_context(
                companion.serve(sockets, service.store, service.authenticator, service.log)
            )
        found = await stack.enter_async_context(
            serve_listeners(service, listens, config.timeouts.stop)
        )
        addresses = [format_host_port(*socket.getsockname()[:2]) for socket in found]
        _announce(config, addresses, service.log, has_tls=bool(certificates))
        on_ready(addresses)
        async with background_tasks(expiry, certificates):
            await stop.wait()
            end_within(config.timeouts.stop + SLACK, service.log)
        service.log.info("stopping", connections=len(service.connections))


def _reload(
    config: Config,
    renew: LoadConfig,
    certificates: Sequence[Certificates],
    log: FilteringBoundLogger,
) -> None:
    """Load the certificates again, and tell what else the configuration would change by now."""
    try:
        renewed = renew()
        components.reload(certificates)
    except ConfigError as error:
        for problem in error.problems:
            log.error("not_reloaded", problem=problem)  # noqa: TRY400  # no fault of ours
        return
    if renewed != config:
        what = "without workers, a reload loads only certificates; restart the server for the rest"
        log.warning("reload_is_partial", what=what)
    log.info("reloaded")


def _announce(
    config: Config, addresses: list[str], log: FilteringBoundLogger, *, has_tls: bool
) -> None:
    for address in addresses:
        log.info("listening", address=address)
    if not has_tls and config.login.clear_text != "always":
        log.warning("no_tls", what="cleartext passwords are accepted from this machine only")


@contextlib.contextmanager
def _open_companions(companions: Sequence[ExtraListener]) -> Iterator[Opened]:
    """Open what else listens, before there are workers or a loop; close it in the end."""
    with contextlib.ExitStack() as stack:
        opened = []
        for companion in companions:
            stack.callback(companion.close)
            opened.append((companion, companion.open()))
        yield opened
