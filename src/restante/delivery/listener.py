"""The sockets where mail comes in: what `pop3 serve` listens for beside POP3."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restante.delivery.data import MemoryBudget
from restante.delivery.deliverer import Deliverer
from restante.delivery.sessions import DeliverySessions
from restante.delivery.settings import CannotListenError
from restante.net.addresses import format_host_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from structlog.typing import FilteringBoundLogger

    from restante.auth.interfaces import Authenticator
    from restante.delivery.recipients import Recipients
    from restante.delivery.settings import DeliverySettings
    from restante.storage.interfaces import Store

BACKLOG = 128  # connections that the kernel holds until they are accepted
ROOM = 4  # messages of the greatest size that may be in memory at once


@dataclass(kw_only=True)
class DeliveryListener:
    """Listens for mail beside POP3; `recipients` makes of the accounts what knows the names."""

    settings: DeliverySettings
    recipients: Callable[[Authenticator], Recipients]
    unknown_hint: str = ""
    _made: list[tuple[Path, int]] = field(init=False, default_factory=list)  # files, their inodes

    def open(self) -> Sequence[socket.socket]:
        """Return listening sockets, for LMTP and then for SMTP. Raises CannotListenError."""
        ways = [self.settings.lmtp, self.settings.smtp]
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            found = [undo.enter_context(self._open(way)) for way in ways if way is not None]
            undo.pop_all()
        return found

    @contextlib.asynccontextmanager
    async def serve(
        self,
        sockets: Sequence[socket.socket],
        store: Store,
        accounts: Authenticator,
        log: FilteringBoundLogger,
    ) -> AsyncIterator[None]:
        """Take mail at these sockets while the block runs; then finish what is under way."""
        desk = self._desk(store, self.recipients(accounts), log)
        lmtp_first = self.settings.lmtp is not None
        servers: list[asyncio.Server] = []
        try:
            for index, opened in enumerate(sockets):
                protocol = desk.lmtp if lmtp_first and index == 0 else desk.smtp
                servers.append(await _serve(protocol, opened))
                log.info("listening", address=_written(opened), way=protocol.__name__)
            yield
        finally:
            for server in servers:
                server.close()
            await desk.stop(self.settings.stop_patience)

    def close(self) -> None:
        """Remove the files of Unix sockets that are ours."""
        for file, inode in self._made:
            with contextlib.suppress(OSError):
                if file.lstat().st_ino == inode:
                    file.unlink()
        self._made.clear()

    def _desk(
        self, store: Store, recipients: Recipients, log: FilteringBoundLogger
    ) -> DeliverySessions:
        settings = self.settings
        office = Deliverer(
            store=store,
            recipients=recipients,
            log=log,
            delimiter=settings.delimiter,
        )
        return DeliverySessions(
            office=office,
            room=MemoryBudget(ROOM * settings.message_size),
            message_size=settings.message_size,
            most_connections=settings.connections,
            host=socket.gethostname(),
            patience=settings.patience,
            received=settings.received,
            unknown_hint=self.unknown_hint,
        )

    def _open(self, where: Path | tuple[str, int]) -> socket.socket:
        try:
            return self._open_file(where) if isinstance(where, Path) else _open_port(where)
        except (OSError, LookupError) as error:
            told = (error.strerror if isinstance(error, OSError) else None) or error
            shown = where if isinstance(where, Path) else f"{where[0]}:{where[1]}"
            raise CannotListenError(f"cannot listen for mail at {shown}: {told}") from error

    def _open_file(self, file: Path) -> socket.socket:
        _clear(file)
        opened = socket.socket(socket.AF_UNIX)
        try:
            opened.bind(os.fspath(file))
            self._made.append((file, file.lstat().st_ino))
            if self.settings.socket_group:
                shutil.chown(file, group=self.settings.socket_group)
            file.chmod(self.settings.socket_mode)
            opened.listen(BACKLOG)  # only now can anybody connect
        except BaseException:
            opened.close()
            raise
        return opened


async def _serve(protocol: Callable[[], asyncio.Protocol], opened: socket.socket) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    if opened.family != socket.AF_UNIX:
        return await loop.create_server(protocol, sock=opened, backlog=BACKLOG)
    keep: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
    return await loop.create_unix_server(protocol, sock=opened, backlog=BACKLOG, **keep)


def _open_port(where: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
    return socket.create_server(where, family=family, backlog=BACKLOG)


def _clear(file: Path) -> None:
    """Remove a socket's file that a server left behind which was killed.

    Raises OSError: it is something else, or a server listens there.
    """
    try:
        found = file.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(0, "there is a file which is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(file))
        except ConnectionRefusedError:
            file.unlink()
            return
    raise FileExistsError(0, "another server listens there")


def _written(opened: socket.socket) -> str:
    name = opened.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    return format_host_port(*name[:2])
