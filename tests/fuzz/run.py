"""Fuzzes every target in turn and prints what was tried: make fuzz, make fuzz MINUTES=10.

Without --minutes each gets a fixed number of inputs from a fixed seed, so it is the same each time.
With --keep, inputs that reached something new are added to the corpus. Exits with 1 after a find;
the input lies in tests/fuzz/found. Mend the code, then move it to tests/fuzz/corpus/TARGET.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.target import LONGEST
from fuzz.targets import CORPUS, HERE, TARGETS

FOUND = HERE / "found"
SECONDS_EACH = 60  # for one input; a slow machine is no find
MEGABYTES = 512  # of the whole process, fuzzer included
FLAGS = (
    f"-dict={HERE / 'words.dict'}",
    f"-max_len={LONGEST}",
    f"-timeout={SECONDS_EACH}",
    f"-rss_limit_mb={MEGABYTES}",
    f"-artifact_prefix={FOUND}/",
    "-print_final_stats=1",
)


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What became of one target."""

    inputs: int
    seconds: float
    megabytes: int
    output: str
    good: bool


def fuzz(name: str, *flags: str, keep: bool) -> Fuzzed:
    """Fuzz a target in a process of its own."""
    with tempfile.TemporaryDirectory() as new:
        ended = _atheris(name, *FLAGS, *flags, new, str(CORPUS / name))
        good = ended.returncode == 0
        if keep and good:
            _atheris(name, "-merge=1", f"-max_len={LONGEST}", str(CORPUS / name), new)
    said = ended.stdout
    return Fuzzed(
        _number(r"number_of_executed_units: *(\d+)", said),
        _number(r"Done \d+ runs in (\d+) second", said),
        _number(r"peak_rss_mb: *(\d+)", said),
        said,
        good,
    )


def _atheris(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, HERE / "one.py", name, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def main() -> int:
    """Fuzz what the command line says."""
    parser = argparse.ArgumentParser(description="Fuzz Restante with atheris.")
    parser.add_argument(
        "targets", nargs="*", help=f"of {', '.join(TARGETS)}; all, if none is named"
    )
    parser.add_argument("--minutes", type=float, help="for all of them together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="add what reached something new")
    given = parser.parse_args()
    names = given.targets or list(TARGETS)
    if unknown := set(names) - TARGETS.keys():
        parser.error(f"no such target: {', '.join(unknown)}")
    FOUND.mkdir(exist_ok=True)
    print(f"{'target':<14}{'inputs':>10}{'seconds':>9}{'a second':>10}{'MB':>6}")
    bad = []
    for name in names:
        if given.minutes:
            amount = f"-max_total_time={max(1, round(given.minutes * 60 / len(names)))}"
        else:
            amount = f"-runs={TARGETS[name].runs}"
        done = fuzz(name, amount, f"-seed={given.seed}", keep=given.keep)
        rate = round(done.inputs / max(done.seconds, 1))
        print(f"{name:<14}{done.inputs:>10}{done.seconds:>9}{rate:>10}{done.megabytes:>6}")
        if not done.good:
            bad.append(name)
            print(f"{TARGETS[name].promise}\nThis was broken:\n{done.output[-4000:]}")
    print(f"broken: {', '.join(bad)}" if bad else "every promise was kept")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
