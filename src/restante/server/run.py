"""A whole server in one process, from its configuration to the signal that ends it."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import sys
from typing import TYPE_CHECKING

from restante.auth.api import UnavailableError
from restante.auth.file import FileAuthenticator
from restante.server import observe
from restante.server.address import Address
from restante.server.config import ConfigError
from restante.server.listener import listening
from restante.server.service import Service
from restante.storage.layout import Layout
from restante.storage.maildir import MaildirStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from restante.server.config import Config


def run(config: Config, on_ready: Callable[[list[str]], None] = lambda _: None) -> None:
    """Serve until SIGTERM or SIGINT; `on_ready` gets the addresses once connections are taken.

    Raises ConfigError: files that the configuration names cannot be used. Raises ListenError.
    """
    log, writer = observe.start(config.log.format)
    try:
        service = _service(config, log)
        _raise_file_limit()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(config, service, on_ready))
    finally:
        writer.close()


async def _serve(config: Config, service: Service, on_ready: Callable[[list[str]], None]) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(
        lambda _, context: service.log.error(
            "incident", what=context["message"], exc_info=context.get("exception")
        )
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    listen = [Address.parse(address) for address in config.server.listen]
    async with listening(service, listen, config.timeouts.stop) as sockets:
        addresses = [_written(socket.getsockname()) for socket in sockets]
        for address in addresses:
            service.log.info("listening", address=address)
        on_ready(addresses)
        await stop.wait()
        service.log.info("stopping", connections=len(service.connections))


def _service(config: Config, log: FilteringBoundLogger) -> Service:
    if not config.mail.folder.is_dir():
        raise ConfigError([f"mail.folder: {config.mail.folder} is no folder; make it first"])
    accounts = FileAuthenticator(
        config.accounts.users, lambda problem: log.warning("accounts", problem=problem)
    )
    try:
        accounts.refresh()
    except UnavailableError as error:
        raise ConfigError([f"accounts.users: {error}; `pop3 user add` makes one"]) from error
    return Service(
        store=MaildirStore(Layout(config.mail.folder, config.mail.layout)),
        authenticator=accounts,
        log=log,
        settings=config.settings(),
        lock_patience=config.timeouts.lock,
        write_timeout=config.timeouts.write,
        most_connections=config.limits.connections,
    )


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
