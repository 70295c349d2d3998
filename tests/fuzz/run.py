"""Fuzzes every target and prints what was tried: make fuzz, make fuzz MINUTES=10.

Two targets run at a time, each in a process of its own.

Without --minutes each gets a fixed number of inputs, made of those kept and of a fixed seed
alone: the same on every machine, and their check sum is printed. With --minutes atheris also learns
from what an input reached, which depends on times and on the order of folders, so a find may never
come again. With --keep, inputs that reached something new are added to the corpus.

Exits with 1 after a find; the input lies in tests/fuzz/found. Mend the code, then move it to
tests/fuzz/corpus/TARGET.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.target import BLIND, LONGEST
from fuzz.targets import CORPUS, HERE, TARGETS, kept

FOUND = HERE / "found"
SECONDS_EACH = 60  # for one input; a slow machine is not a find
JOBS = min(2, len(os.sched_getaffinity(0)))  # targets at a time
MEGABYTES = 512  # of the whole process, fuzzer included
FLAGS = (
    f"-dict={HERE / 'words.dict'}",
    f"-max_len={LONGEST}",
    f"-timeout={SECONDS_EACH}",
    f"-rss_limit_mb={MEGABYTES}",
    f"-artifact_prefix={FOUND}/",
    "-print_final_stats=1",
)
SAME_EACH_TIME = ("-use_cmp=0", "-keep_seed=1", "-shuffle=0", "-cross_over=0")


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """The results of one target."""

    inputs: int
    seconds: float
    megabytes: int
    check_sum: str  # of all inputs, where they are the same each time
    output: str
    good: bool


def fuzz_anew(name: str, seconds: int, seed: int, *, keep: bool) -> Fuzzed:
    """Fuzz a target for a time, with what inputs reach to guide it, in a process of its own."""
    with tempfile.TemporaryDirectory() as new:
        corpus = str(CORPUS / name)
        ended = _atheris(name, *FLAGS, f"-max_total_time={seconds}", f"-seed={seed}", new, corpus)
        if keep and ended.returncode == 0:
            _atheris(name, "-merge=1", f"-max_len={LONGEST}", corpus, new)
    return _fuzzed(ended)


def fuzz_the_same(name: str, seed: int) -> Fuzzed:
    """Fuzz a target with the inputs that it gets each time, in a process of its own."""
    files = ",".join(map(str, kept(name)))
    flags = (*SAME_EACH_TIME, f"-runs={TARGETS[name].runs}", f"-seed={seed}")
    return _fuzzed(_atheris(BLIND, name, *FLAGS, *flags, f"-seed_inputs={files}"))


def _fuzzed(ended: subprocess.CompletedProcess[str]) -> Fuzzed:
    said = ended.stdout
    inputs = _number(r"number_of_executed_units: *(\d+)", said)
    sums = re.findall(r"check sum of \d+ inputs: (\w+)", said)
    return Fuzzed(
        inputs,
        _number(r"Done \d+ runs in (\d+) second", said),
        _number(r"peak_rss_mb: *(\d+)", said),
        sums[-1] if sums else "",
        said,
        ended.returncode == 0 and inputs > 0,
    )


def _atheris(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, HERE / "one.py", *arguments],
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
    if given.keep and not given.minutes:
        parser.error("--keep needs --minutes: inputs that are the same each time bring nothing new")
    names = given.targets or list(TARGETS)
    if unknown := set(names) - TARGETS.keys():
        parser.error(f"no such target: {', '.join(unknown)}")
    FOUND.mkdir(exist_ok=True)
    print(f"{'target':<14}{'inputs':>10}{'seconds':>9}{'a second':>10}{'MB':>6}  check sum")

    def fuzz(name: str) -> Fuzzed:
        if given.minutes:
            seconds = max(1, round(given.minutes * 60 * JOBS / len(names)))
            return fuzz_anew(name, seconds, given.seed, keep=given.keep)
        return fuzz_the_same(name, given.seed)

    bad = []
    with ThreadPoolExecutor(JOBS) as pool:
        for name, done in zip(names, pool.map(fuzz, names), strict=True):
            rate = round(done.inputs / max(done.seconds, 1))
            row = f"{name:<14}{done.inputs:>10}{done.seconds:>9}{rate:>10}{done.megabytes:>6}"
            print(f"{row}  {done.check_sum}".rstrip(), flush=True)
            if not done.good:
                bad.append(name)
                print(f"{TARGETS[name].promise}\nThis was broken:\n{done.output[-4000:]}")
    print(f"broken: {', '.join(bad)}" if bad else "every promise was kept")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
