"""How long the commands take to start: make bench-startup.

Each is started cold, in a new process, in turn with the bare interpreter, so the ratio holds on
a busy machine too. `check` runs against the demo server, which this starts on a free port; its time
to the first line is what a person waits for.
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

from typing import TYPE_CHECKING

from support.process import POP3, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 15
GOAL = 0.150  # seconds


def whole(*command: str | Path) -> float:
    """Return how many seconds a command takes."""
    begun = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def first_line(*command: str | Path) -> float:
    """Return how many seconds a command takes to its first line."""
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds = time.perf_counter() - begun
        process.stdout.read()
    return seconds


@contextlib.contextmanager
def account() -> Iterator[str]:
    """Give the URL of an account on a server that runs meanwhile."""
    os.environ["POP3_PASSWORD"] = "secret"
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as served:
        served.add("ann", "secret", b"Subject: one\n\nhello\n")
        yield f"pop3://ann@127.0.0.1:{served.port}"


def main() -> None:
    """Print the table."""
    with account() as url:
        rows: dict[str, Callable[[], float]] = {
            "python -c pass": lambda: whole(sys.executable, "-c", "pass"),
            "pop3 --help": lambda: whole(POP3, "--help"),
            "pop3 check --help": lambda: whole(POP3, "check", "--help"),
            "pop3 explain": lambda: whole(POP3, "explain"),
            "pop3 check, first line": lambda: first_line(POP3, "check", url),
            "pop3 check, all of it": lambda: whole(POP3, "check", url),
            "pop3 stat": lambda: whole(POP3, "stat", url),
        }
        times: dict[str, list[float]] = {name: [] for name in rows}
        for _ in range(ROUNDS):
            for name, measure in rows.items():
                times[name].append(measure())
    bare = statistics.median(times["python -c pass"])
    print(f"{'median of ' + str(ROUNDS):<24}  {'ms':>6}  {'x python':>8}")
    for name, found in times.items():
        median = statistics.median(found)
        print(f"{name:<24}  {median * 1000:>6.0f}  {median / bare:>8.1f}")
    slow = [name for name in ("pop3 --help", "pop3 check, first line")
            if statistics.median(times[name]) > GOAL]  # fmt: skip
    print(f"goal of {GOAL * 1000:.0f} ms: {'missed by ' + ', '.join(slow) if slow else 'met'}")


if __name__ == "__main__":
    main()
