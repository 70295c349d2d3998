"""The cost of a mail server for each test: make bench-testing.

Each is started and stopped in this process, in turn, so that the ratio holds on a busy machine too.
The bare one is a thread with an event loop and one open port. aiosmtpd's controller is measured
where it is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

from restante import testing
from restante.server.system.loop_thread import LoopThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 200
GOAL = 0.002  # seconds of processor time for the start and the end of one server


class ServerTimes(NamedTuple):
    """Seconds that the start and the end of a server took."""

    processor: float
    wall: float


@contextlib.contextmanager
def bare() -> Iterator[None]:
    """Run a thread with an event loop and one open port."""
    thread = LoopThread("bare")

    async def listen() -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)

    async def close(server: asyncio.Server) -> None:
        server.close()

    server = thread.call(listen())
    yield
    thread.call(close(server))
    thread.close()


@contextlib.contextmanager
def aiosmtpd_controller() -> Iterator[None]:
    """Run a server of aiosmtpd."""
    from aiosmtpd.controller import Controller
    from aiosmtpd.handlers import Sink

    from support.process import free_port

    controller = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    controller.start()
    yield
    controller.stop()


def measure(serve: Callable[[], contextlib.AbstractContextManager[object]]) -> ServerTimes:
    """Start a server and stop it, and return what that took."""
    processor, wall = time.process_time(), time.perf_counter()
    with serve():
        pass
    return ServerTimes(time.process_time() - processor, time.perf_counter() - wall)


def main() -> None:
    """Print the table."""
    rows: dict[str, Callable[[], contextlib.AbstractContextManager[object]]] = {
        "a bare event loop": bare,
        "serving()": testing.serving,
        "serving(tls=True)": lambda: testing.serving(tls=True),
    }
    if importlib.util.find_spec("aiosmtpd"):
        rows["aiosmtpd Controller"] = aiosmtpd_controller
    times: dict[str, list[ServerTimes]] = {name: [] for name in rows}
    for serve in rows.values():
        measure(serve)
    for _ in range(ROUNDS):
        for name, serve in rows.items():
            times[name].append(measure(serve))
    medians = {
        name: ServerTimes(*map(statistics.median, zip(*found, strict=True)))
        for name, found in times.items()
    }
    base = medians["a bare event loop"].processor
    print(f"{f'median of {ROUNDS}':<20}{'processor ms':>13}{'x bare':>8}{'wall ms':>9}")
    for name, found in medians.items():
        processor, wall = found.processor * 1000, found.wall * 1000
        print(f"{name:<20}{processor:>13.2f}{found.processor / base:>8.1f}{wall:>9.2f}")
    slow = medians["serving()"].processor > GOAL
    print(f"goal of {GOAL * 1000:.0f} ms of processor time: {'missed' if slow else 'met'}")


if __name__ == "__main__":
    main()
