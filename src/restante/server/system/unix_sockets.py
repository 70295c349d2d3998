"""Unix sockets for programs on this machine: opened, with the rights of their file, and removed."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import socket
import stat
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BACKLOG = 128  # connections that the kernel holds until they are accepted


class UnixSockets:
    """The Unix sockets of a listener."""

    def __init__(self) -> None:
        self._made: list[tuple[Path, int]] = []  # files, their inodes

    def open(self, file: Path, mode: str, group: str | None) -> socket.socket:
        """Listen at a file with this mode, in octal, and group; a file of a killed server goes.

        Raises OSError: the file is something else, or a server listens there. Raises LookupError:
        there is no such group.
        """
        _clear(file)
        opened = socket.socket(socket.AF_UNIX)
        try:
            opened.bind(os.fspath(file))
            self._made.append((file, file.lstat().st_ino))
            _give_group(file, group)
            file.chmod(int(mode, 8))
            opened.listen(BACKLOG)  # only now can clients connect
        except BaseException:
            opened.close()
            raise
        return opened

    def close(self) -> None:
        """Remove the files, unless another server has made them anew."""
        for file, inode in self._made:
            with contextlib.suppress(OSError):
                if file.lstat().st_ino == inode:
                    file.unlink()
        self._made.clear()


async def serve_unix_socket(
    connect: Callable[[], asyncio.Protocol], opened: socket.socket
) -> asyncio.Server:
    """Accept connections at a Unix socket, whose file stays when the server closes."""
    keep: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(connect, sock=opened, backlog=BACKLOG, **keep)


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
        found = file.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(0, "it is not a socket; remove it, or choose another path")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(file))
        except ConnectionRefusedError:
            file.unlink()
            return
    raise FileExistsError(0, "another server listens there; stop it, or choose another path")
