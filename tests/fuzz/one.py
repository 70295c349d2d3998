"""Fuzzes one target with atheris until libFuzzer's own flags say stop: one.py TARGET [FLAG...].

With --blind before the target, nothing that an input reaches guides what comes next: each is a kept
one with changes. A check sum of all inputs is printed now and then.
"""

from __future__ import annotations

import contextlib
import random
import sys
import zlib
from functools import partial
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.target import BLIND

OFTEN = 1000  # inputs
MAX_CHANGES = 5  # of an input that is kept


def main() -> None:
    """Fuzz; the process ends within it."""
    arguments = sys.argv[1:]
    blind = arguments[0] == BLIND
    name, *flags = arguments[blind:]
    with contextlib.nullcontext() if blind else atheris.instrument_imports(include=["restante"]):
        from fuzz.targets import TARGETS, kept
    target = TARGETS[name]
    count = check_sum = 0

    def run(octets: bytes) -> None:
        nonlocal count, check_sum
        count, check_sum = count + 1, zlib.crc32(octets, check_sum)
        target.run(octets)
        if blind and count % OFTEN == 0:
            print(f"check sum of {count} inputs: {check_sum:08x}", flush=True)

    with target.limited():
        # libFuzzer runs its own command line again when it merges corpora.
        again = f"{sys.executable} {Path(__file__).resolve()} {name}"
        if blind:
            begin = [path.read_bytes() for path in kept(name)]
            atheris.Setup([again, *flags], run, custom_mutator=partial(_changed, begin))
        else:
            atheris.Setup([again, *flags], run)
        atheris.Fuzz()


def _changed(begin: list[bytes], _octets: bytes, longest: int, seed: int) -> bytes:
    """Return a kept input with some changes; libFuzzer alone would begin with one of them only."""
    chance = random.Random(seed)
    octets = chance.choice(begin)
    for _ in range(chance.randint(1, MAX_CHANGES)):
        octets = bytes(atheris.Mutate(octets, longest))
    return octets


if __name__ == "__main__":
    main()
