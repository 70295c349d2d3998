"""How much processor time the commands take to start: make bench-startup.

Each is started in a new process, in turn with the bare interpreter, so that the ratio holds on a
busy machine too. The modules are compiled before, as pip leaves them. `check` runs against a server
that this starts on a free port; its time to the first line is what a person waits for. `dev` serves
until it is stopped: what it used is read when a client of POP3 is greeted, and at its first line.
"""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from typing import TYPE_CHECKING, NamedTuple

from support.process import POP3, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROUNDS = 15
GOAL = 0.150  # seconds of processor time
DEV_GOAL = 0.500  # of `pop3 dev`, until it greets the first client
GREETING, FIRST_LINE = "pop3 dev, greeting", "pop3 dev, line"


class Times(NamedTuple):
    """Seconds that a command took."""

    processor: float
    first_line: float


def measure(command: Sequence[str | Path]) -> Times:
    """Run a command, and return its times."""
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        first_line = time.perf_counter() - begun
        process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return Times(used.ru_utime + used.ru_stime, first_line)


def measure_dev() -> dict[str, Times]:
    """Start `pop3 dev`, and return what it took until its first greeting, and its first line."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ports = ("--port", str(port), "--tls-port", "0", "--smtp-port", "0", "--web-port", "0")
    begun = time.perf_counter()
    with subprocess.Popen((POP3, "dev", *ports), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        greeted = _greet(port)
        greeting = Times(_processor_time(process.pid), greeted - begun)
        process.stdout.readline()
        line = Times(_processor_time(process.pid), time.perf_counter() - begun)
        process.terminate()
    return {GREETING: greeting, FIRST_LINE: line}


def _greet(port: int) -> float:
    """Connect as soon as the port is open, and return when the greeting came."""
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port)) as client:
                assert client.recv(512).startswith(b"+OK")
                return time.perf_counter()
        except ConnectionRefusedError:
            time.sleep(0.001)


def _processor_time(process: int) -> float:
    """Return the seconds of processor time that all threads of a process have used."""
    threads = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


@contextlib.contextmanager
def account() -> Iterator[str]:
    """Give the URL of an account on a server that runs meanwhile."""
    os.environ["POP3_PASSWORD"] = "secret"
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as served:
        served.add("ann", "secret", b"Subject: one\n\nhello\n")
        yield f"pop3://ann@127.0.0.1:{served.port}"


def main() -> None:
    """Print the table."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with account() as url:
        rows: dict[str, Sequence[str | Path]] = {
            "python -c pass": (sys.executable, "-c", "pass"),
            "pop3 --help": (POP3, "--help"),
            "pop3 check --help": (POP3, "check", "--help"),
            "pop3 explain": (POP3, "explain"),
            "pop3 check": (POP3, "check", url),
            "pop3 stat": (POP3, "stat", url),
        }
        for command in rows.values():
            measure(command)
        times: dict[str, list[Times]] = {name: [] for name in (*rows, *measure_dev())}
        for _ in range(ROUNDS):
            for name, command in rows.items():
                times[name].append(measure(command))
            for name, found in measure_dev().items():
                times[name].append(found)
    _print_table(times)


def _print_table(times: Mapping[str, Sequence[Times]]) -> None:
    medians = {
        name: Times(*map(statistics.median, zip(*found, strict=True)))
        for name, found in times.items()
    }
    bare = medians["python -c pass"].processor
    print(
        f"{'median of ' + str(ROUNDS):<20}{'processor ms':>14}{'x python':>10}{'first line ms':>15}"
    )
    for name, found in medians.items():
        processor, first_line = (seconds * 1000 for seconds in found)
        print(f"{name:<20}{processor:>14.0f}{found.processor / bare:>10.1f}{first_line:>15.0f}")
    for goal, names in ((GOAL, ("pop3 --help", "pop3 check")), (DEV_GOAL, (GREETING,))):
        slow = [name for name in names if medians[name].processor > goal]
        result = "missed by " + ", ".join(slow) if slow else "met by " + ", ".join(names)
        print(f"goal of {goal * 1000:.0f} ms: {result}")


if __name__ == "__main__":
    main()
