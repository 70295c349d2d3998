"""A whole server in one process, from its configuration to the signal that ends it."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import sys
from typing import TYPE_CHECKING

from restante.server import build, observe
from restante.server.listener import listening

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from restante.server.companion import Companion
    from restante.server.sections import Config
    from restante.server.service import Service


def run(
    config: Config,
    on_ready: Callable[[list[str]], None] = lambda _: None,
    companions: Sequence[Companion] = (),
) -> None:
    """Serve until SIGTERM or SIGINT; `on_ready` gets the addresses once connections are taken.

    Companions serve beside it, and their sockets are opened first. Raises ConfigError: files that
    the configuration names cannot be used. Raises ListenError.
    """
    log, writer = observe.start(config.log.format)
    undo = contextlib.ExitStack()
    try:
        service = build.service(config, log)
        _raise_file_limit()
        opened = [(companion, _open(companion, undo)) for companion in companions]
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(config, service, on_ready, opened))
    finally:
        undo.close()
        writer.close()


def _open(companion: Companion, undo: contextlib.ExitStack) -> Sequence[socket.socket]:
    sockets = companion.open()
    undo.callback(companion.close)
    return [undo.enter_context(opened) for opened in sockets]


async def _serve(
    config: Config,
    service: Service,
    on_ready: Callable[[list[str]], None],
    companions: Sequence[tuple[Companion, Sequence[socket.socket]]],
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(
        lambda _, context: service.log.error(
            "incident", what=context["message"], exc_info=context.get("exception")
        )
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    listens, certificates = build.listens(config, service.log)

    def reload() -> None:
        for known in certificates:
            known.reload()
        service.log.info("reloaded")

    loop.add_signal_handler(signal.SIGHUP, reload)
    expiry = build.expiry(config, service)
    expiring = asyncio.create_task(expiry.run()) if expiry else None
    async with contextlib.AsyncExitStack() as stack:
        sockets = await stack.enter_async_context(listening(service, listens, config.timeouts.stop))
        for companion, opened in companions:
            await stack.enter_async_context(companion.serving(opened, service.store, service.log))
        addresses = [_written(socket.getsockname()) for socket in sockets]
        for address in addresses:
            service.log.info("listening", address=address)
        if not certificates and config.login.clear_text != "always":
            service.log.warning("no_tls", what="passwords are taken from this machine only")
        on_ready(addresses)
        await stop.wait()
        service.log.info("stopping", connections=len(service.connections))
        if expiring:
            expiring.cancel()


def _raise_file_limit() -> None:
    """Allow as many open files as the system does: each session holds a few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's where it is there: asyncio's own does the same work at half the speed."""
    if sys.platform == "win32":
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _written(name: tuple[str, int]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
