"""Unix sockets for programs on this machine: opened, with the rights of their file, and removed.

A file that another program removes, such as a cleaner of temporary files, is made anew: without it
no client can connect. The process that opened a socket does that.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import grp
import os
import socket
import stat
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.server.system.accepting import accept_at, stop_accepting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

BACKLOG = 128  # connections that the kernel holds until they are accepted
CHECK_EVERY = 2.0  # seconds between two checks of the files
LONGEST_PATH = 107 if sys.platform == "linux" else 103  # octets: unix(7)


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """How a socket was opened, and the device and inode of its file."""

    file: Path
    mode: str
    group: str | None
    identity: tuple[int, int]

    def has_file(self) -> bool:
        """Return whether its file is still there."""
        try:
            return _identity(self.file) == self.identity
        except OSError:
            return False


class UnixSockets:
    """The Unix sockets of a listener."""

    def __init__(self) -> None:
        self._opened: dict[socket.socket, _Opened] = {}
        self._process = os.getpid()
        self._problems: dict[Path, str] = {}  # of files that cannot be made anew, as logged

    def open(self, file: Path, mode: str, group: str | None) -> socket.socket:
        """Listen at a file with this mode, in octal, and group; a file of a killed server goes.

        Raises OSError: the file is something else, or a server listens there, or its path is too
        long. Raises LookupError: there is no such group.
        """
        require_short_path(file)
        _clear(file)
        opened = socket.socket(socket.AF_UNIX)
        made: _Opened | None = None
        try:
            opened.bind(os.fspath(file))
            made = _Opened(file, mode, group, _identity(file))
            self._opened[opened] = made
            _give_group(file, group)
            file.chmod(int(mode, 8))
            opened.listen(BACKLOG)  # only now can clients connect
        except BaseException:
            opened.close()
            if made is not None:
                del self._opened[opened]
                _remove(made)
            raise
        return opened

    def replace_lost(
        self, sockets: Sequence[socket.socket], log: FilteringBoundLogger
    ) -> list[socket.socket]:
        """Return these sockets, with a new one for each whose file is gone, and log what is done.

        The caller closes those that it no longer has. A socket stays as it is in other processes
        than the one that opened it, or while another server has the place of its file.
        """
        return [self._replace_if_lost(one, log) for one in sockets]

    def _replace_if_lost(self, one: socket.socket, log: FilteringBoundLogger) -> socket.socket:
        made = self._opened.get(one)
        if made is None or self._process != os.getpid() or made.has_file():
            return one
        try:
            new = self.open(made.file, made.mode, made.group)
        except (OSError, LookupError) as error:
            problem = str(getattr(error, "strerror", None) or error)
            if self._problems.get(made.file) != problem:
                self._problems[made.file] = problem
                log.error("socket_lost", file=str(made.file), problem=problem)  # noqa: TRY400
            return one
        self._problems.pop(made.file, None)
        del self._opened[one]
        log.warning("socket_restored", file=str(made.file))
        return new

    def close(self) -> None:
        """Remove the files, unless another server has made them anew."""
        for made in self._opened.values():
            _remove(made)
        self._opened.clear()


class UnixSocketServer:
    """Accepts connections at a Unix socket, whose file stays when it closes."""

    def __init__(
        self,
        connect: Callable[[], asyncio.Protocol],
        files: UnixSockets,
        log: FilteringBoundLogger,
    ) -> None:
        self._connect = connect
        self._files = files
        self._log = log

    async def start(self, opened: socket.socket) -> None:
        """Accept connections at this socket, and at a new one if its file is removed."""
        self._server = await accept_at(self._connect, opened, BACKLOG)
        self._keeping = asyncio.create_task(self._keep(opened))

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The sockets at which it accepts connections."""
        return self._server.sockets

    def close(self) -> None:
        """Close the sockets."""
        self._keeping.cancel()
        self._server.close()

    async def _keep(self, opened: socket.socket) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY)
            (new,) = self._files.replace_lost([opened], self._log)
            if new is not opened:
                before, opened = self._server, new
                self._server = await accept_at(self._connect, opened, BACKLOG)
                await stop_accepting([before])


async def serve_unix_socket(
    connect: Callable[[], asyncio.Protocol],
    opened: socket.socket,
    files: UnixSockets,
    log: FilteringBoundLogger,
) -> UnixSocketServer:
    """Accept connections at a Unix socket, which is one of `files` or of the service manager."""
    server = UnixSocketServer(connect, files, log)
    await server.start(opened)
    return server


def require_short_path(file: Path) -> None:
    """Raise OSError: the path is too long for a Unix socket."""
    if len(os.fsencode(file)) > LONGEST_PATH:
        text = f"the path of a Unix socket has at most {LONGEST_PATH} octets"
        raise OSError(errno.ENAMETOOLONG, text)


def close_replaced(before: Sequence[socket.socket], now: Sequence[socket.socket]) -> bool:
    """Close the sockets of `before` that are not among those of `now`; return whether there are."""
    replaced = [one for one in before if one not in now]
    for one in replaced:
        one.close()
    return bool(replaced)


def _identity(file: Path) -> tuple[int, int]:
    """Return the device and the inode of a file, not of what a link names. Raises OSError."""
    status = file.lstat()
    return status.st_dev, status.st_ino


def _remove(made: _Opened) -> None:
    """Remove the file of a socket, unless another server has made it anew."""
    if made.has_file():
        with contextlib.suppress(OSError):
            made.file.unlink()


def _give_group(file: Path, name: str | None) -> None:
    """Set the group of a socket, unless its folder gave it already.

    A hardened unit may forbid every chown. Raises LookupError, OSError.
    """
    if not name:
        return
    try:
        group = grp.getgrnam(name).gr_gid
    except KeyError:
        raise LookupError(f"there is no group {name}; add it, or choose another one") from None
    if group != file.lstat().st_gid:
        os.chown(file, -1, group)


def _clear(file: Path) -> None:
    """Remove the socket file that a killed server left behind.

    Raises OSError: it is something else, or a server listens there.
    """
    try:
        status = file.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise FileExistsError(0, "it is not a socket; choose another path")
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(BlockingIOError):
        probe.settimeout(0)  # with a full backlog, the call would wait
        try:
            probe.connect(os.fspath(file))
        except ConnectionRefusedError:
            file.unlink()
            return
    raise FileExistsError(0, "another server listens there; stop it, or choose another path")
