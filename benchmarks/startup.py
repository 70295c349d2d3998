"""How much processor time the commands take to start: make bench-startup.

Each is started in a new process, in turn with the bare interpreter, so that the ratio holds on a
busy machine too. The modules are compiled before, as pip leaves them. `check` runs against a server
that this starts on a free port; its time to the first line is what a person waits for.
"""

from __future__ import annotations

import contextlib
import os
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
    from collections.abc import Iterator, Sequence

ROUNDS = 15
GOAL = 0.150  # seconds of processor time


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
        times: dict[str, list[Times]] = {name: [] for name in rows}
        for _ in range(ROUNDS):
            for name, command in rows.items():
                times[name].append(measure(command))
    medians = {
        name: Times(*map(statistics.median, zip(*found, strict=True)))
        for name, found in times.items()
    }
    bare = medians["python -c pass"].processor
    print(
        f"{'median of ' + str(ROUNDS):<18}{'processor ms':>14}{'x python':>10}{'first line ms':>15}"
    )
    for name, found in medians.items():
        processor, first_line = (seconds * 1000 for seconds in found)
        print(f"{name:<18}{processor:>14.0f}{found.processor / bare:>10.1f}{first_line:>15.0f}")
    slow = [name for name in ("pop3 --help", "pop3 check") if medians[name].processor > GOAL]
    print(f"goal of {GOAL * 1000:.0f} ms: {'missed by ' + ', '.join(slow) if slow else 'met'}")


if __name__ == "__main__":
    main()
