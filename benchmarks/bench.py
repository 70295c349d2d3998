"""Restante beside other POP3 servers: make bench, or make bench-short to see that it works.

Each server runs on one core and the load on another. The servers take turns, several times over, so
what else the machine does hits them alike. `bench.py NAME...` measures only these groups.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import encryption
import load
import memory
import patience
import peers
import plot
import report
import sessions
import workers
from page import page
from place import INSTALLED, SHARED, TUNED, Place

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
PROGRAMS = peers.BUILD / "benchmarks"

GROUPS = {
    "small": lambda place: sessions.small(place, _present()),
    "large": sessions.large,
    "fairness": patience.fairness,
    "crowd": patience.crowd,
    "huge": patience.huge,
    "tls": encryption.tls,
    "encrypted": memory.encrypted,
    "bounded": memory.bounded,
    "workers": workers.workers,
}


def _present() -> list[str]:
    missing = peers.missing()
    others = [name for name in ("Courier", "Twisted") if name not in missing]
    return [SHARED, TUNED, INSTALLED, *others]


def main() -> None:
    """Measure, print the tables, and write the page where all was measured at length."""
    busy = os.getloadavg()[0]
    short, wanted = bool(os.environ.get("SHORT")), sys.argv[1:] or list(GROUPS)
    missing = peers.missing()
    for name, remedy in missing.items():
        print(f"{name} is left out: {remedy}", file=sys.stderr)
    if "Dovecot" in missing:
        sys.exit("bench: without Dovecot there is nothing to compare with")
    load.build(PROGRAMS)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        place = Place(Path(name), PROGRAMS, short)
        place.folder.chmod(0o755)  # servers look into it under other names
        failed = [group for group in wanted if not _measured(place, group)]
    if short:
        print("Short: a twentieth of the clients and messages. These numbers mean nothing.\n")
    print(report.everything(place.figures), report.costs(place.figures), sep="\n")
    print(report.targets(place.figures))
    if wanted == list(GROUPS) and not short:
        today = dt.datetime.now(dt.UTC).date()
        (REFERENCE / "benchmark.md").write_text(page(place.figures, today, busy))
        (REFERENCE / "benchmark.svg").write_text(plot.draw(place.figures))
    if failed:
        sys.exit(f"bench: not all was measured: {', '.join(failed)}")


def _measured(place: Place, group: str) -> bool:
    begun = time.monotonic()
    try:
        GROUPS[group](place)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"{group}: {error}", file=sys.stderr)
        return False
    print(f"{group}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return True


if __name__ == "__main__":
    main()
