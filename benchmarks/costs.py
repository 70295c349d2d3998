"""Where the time goes in one process: what commands, and the parts of a session, cost the server.

A stand-in replaces the network, so that only Restante's code and the system's calls for files are
clocked. `make bench-costs` prints microseconds.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import uvloop

import mail
from restante.protocol import line_ends
from restante.protocol.server.settings import Identity
from restante.protocol.stuffing import encode_message, encode_top
from restante.server.connection import connection
from restante.server.connection.connection import Connection
from restante.server.context import ServerContext
from restante.server.limits.counters import CountLimit
from restante.server.limits.server_limits import ServerLimits
from restante.server.log import event_log
from restante.storage.disk_latency import ENOUGH, DiskLatency
from restante.storage.maildir import MaildirStore
from restante.storage.paths import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from restante.protocol.secret import Secret

try:
    from restante.protocol import speedups
except ImportError:
    speedups = None  # type: ignore[assignment]

OCTETS = 7000
RUNS = 600
MANY = 1_000_000  # more than any limit here


class Network:
    """A transport to nowhere."""

    writes = 0

    def get_extra_info(self, name: str) -> object:
        return ("127.0.0.1", 1) if name == "peername" else None

    def write(self, _octets: bytes) -> None:
        """Send nothing."""
        self.writes += 1

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        """Close nothing."""

    def pause_reading(self) -> None:
        """Go on."""

    def resume_reading(self) -> None:
        """Go on."""

    def get_write_buffer_size(self) -> int:
        return 0


class Everybody:
    """Accounts that remember every password."""

    async def verify(self, user: str, _password: Secret) -> Identity:
        return Identity(user)

    def cached_login(self, user: str, _password: Secret) -> Identity:
        return Identity(user)


def fastest(taken: Iterable[float]) -> float:
    """Return the limit of the fastest tenth: what others do on the machine only ever adds time."""
    return statistics.quantiles(taken, n=10)[0]


def clocked(work: Callable[[], object], times: int = 20) -> float:
    """Return what doing this once costs, in microseconds."""
    taken = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        for _ in range(times):
            work()
        taken.append((time.perf_counter() - begun) / times * 1e6)
    return fastest(taken)


def row(what: str, microseconds: float) -> None:
    print(f"{what:<44}{microseconds:8.2f}")


def connected(context: ServerContext, network: Network | None = None) -> Connection:
    made = Connection(context)
    made.connection_made(cast("asyncio.Transport", network or Network()))
    return made


SESSION = (b"USER u0\r\n", b"PASS secret\r\n", b"QUIT\r\n")
STEPS = ("connect", "USER", "PASS", "QUIT", "end, with its line in the log")


def session(context: ServerContext) -> list[float]:
    """Hold a session that finds nothing new, and return what its steps took, in microseconds."""
    network, times = Network(), [time.perf_counter()]
    client = connected(context, network)
    times.append(time.perf_counter())
    for line in SESSION:
        client.data_received(line)
        times.append(time.perf_counter())
    client.connection_lost(None)
    times.append(time.perf_counter())
    if network.writes != len(SESSION) + 1:
        raise RuntimeError("a command was not answered at once, so its time means nothing")
    return [(b - a) * 1e6 for a, b in itertools.pairwise(times)]


async def settled(context: ServerContext, folder: Path) -> None:
    """Have sessions until nothing is listed any more, as with users who come again."""
    for _ in range(2 * ENOUGH):
        for path in (folder, *folder.iterdir()):
            if path.is_dir():
                os.utime(path, (1e9, 1e9))
        network = Network()
        client = connected(context, network)
        for line in SESSION:
            said = network.writes
            client.data_received(line)
            while network.writes == said:  # a thread is at it
                await asyncio.sleep(0.001)
        client.connection_lost(None)


async def main() -> None:
    """Measure and print."""
    connection.TIME_SLICE = MANY  # type: ignore[attr-defined]  # no other connection has a turn
    with tempfile.TemporaryDirectory() as name, open(os.devnull, "w") as nowhere:
        mail.maildirs(Path(name), 1, 20, OCTETS, os.getuid())
        log, writer = event_log.configure_log("text", nowhere)
        context = ServerContext(
            store=MaildirStore(Layout(Path(name)), latency=DiskLatency(MANY)),  # it is quick
            authenticator=Everybody(),
            log=log,
            limits=ServerLimits(connections=CountLimit(MANY), users=CountLimit(MANY)),
        )
        await settled(context, Path(name) / "u0")
        parts = zip(*(session(context) for _ in range(4000)), strict=True)
        medians = [fastest(part) for part in parts]
        row("a session: login and QUIT", sum(medians))
        for step, median in zip(STEPS, medians, strict=True):
            row(f"  {step}", median)
        commands(context)
        writer.close()
    wire_forms()


def commands(context: ServerContext) -> None:
    """Clock commands of a session that is logged in."""
    client = connected(context)
    client.data_received(b"USER u0\r\n")
    client.data_received(b"PASS secret\r\n")
    for said in ("NOOP", "STAT", "LIST", "UIDL", "DELE 1", "RSET", "TOP 2 0", "RETR 2"):
        line = f"{said}\r\n".encode()
        again = b"RSET\r\n" if said == "DELE 1" else b""
        extra = clocked(lambda: client.data_received(b"RSET\r\n")) if again else 0
        row(said, clocked(lambda: client.data_received(line + again)) - extra)


def wire_forms() -> None:
    """Clock the wire form of a message, in C and in Python."""
    for octets in (OCTETS, 23_000):
        stored = mail.message(octets, 1)
        kinds = {"Python": line_ends, "C": speedups}
        for kind, module in kinds.items():
            if module is not None:
                row(
                    f"wire form of {octets} octets, {kind}",
                    clocked(lambda: module.to_wire(stored, True)),
                )
        row(f"RETR's reply of {octets} octets", clocked(lambda: encode_message(stored)))
        row(f"TOP 0's reply of {octets} octets", clocked(lambda: encode_top(stored, 0)))


if __name__ == "__main__":
    uvloop.run(main())
