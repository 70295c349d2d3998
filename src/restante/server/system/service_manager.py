"""Messages to the service manager: the protocol of sd_notify(3), which systemd understands.

The manager gives a socket by NOTIFY_SOCKET, and by WATCHDOG_USEC how often it must hear from a
process that it is alive. Without them, nothing is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING

from restante.server.system.activation import ActivatedSockets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping

MICROSECONDS = 1_000_000

SERVING = "accepting connections"
NOT_RELOADED = "accepting connections with the earlier configuration; the log says why"
"""The states that `systemctl status` shows."""


class ServiceManager:
    """The program that started this process, if it accepts messages.

    Attributes:
        alive_every: seconds between two messages that the process is alive; None if none are due.
        sockets: the listening sockets that it has opened.
    """

    def __init__(self, environment: MutableMapping[str, str] | None = None) -> None:
        variables = os.environ if environment is None else environment
        self.sockets = ActivatedSockets(variables)
        self._address = variables.get("NOTIFY_SOCKET", "")
        self._serving = False
        self.alive_every: float | None = None
        microseconds = variables.get("WATCHDOG_USEC", "")
        ours = variables.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        if self._address and ours and microseconds.isdecimal() and int(microseconds):
            self.alive_every = int(microseconds) / MICROSECONDS / 2

    def ready(self) -> None:
        """Report that all addresses accept connections, at the end of the start."""
        self._serving = True
        self.end_reload(SERVING)

    def reloading(self) -> None:
        """Report that a reload begins; `end_reload` ends it. Start and stop have no reloads."""
        if self._serving:
            now = int(time.clock_gettime(time.CLOCK_MONOTONIC) * MICROSECONDS)
            self._send("RELOADING=1", f"MONOTONIC_USEC={now}")

    def end_reload(self, status: str) -> None:
        """Report that a reload has ended; `status` is for `systemctl status`."""
        if self._serving:
            self._send("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """Report that the server stops."""
        self._serving = False
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Report that the process is alive, if the manager counts on it."""
        if self.alive_every is not None:
            self._send("WATCHDOG=1")

    @contextlib.asynccontextmanager
    async def staying_alive(self) -> AsyncIterator[None]:
        """Report that the event loop is alive, again and again, while the block runs."""
        task = asyncio.create_task(self._stay_alive())
        try:
            yield
        finally:
            task.cancel()

    async def _stay_alive(self) -> None:
        while self.alive_every is not None:
            self.alive()
            await asyncio.sleep(self.alive_every)

    def _send(self, *fields: str) -> None:
        """Send one datagram. A manager that does not read must not stop the server."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.settimeout(0)
            to.sendto("\n".join(fields).encode(), address)
