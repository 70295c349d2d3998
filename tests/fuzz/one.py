"""Fuzzes one target with atheris until libFuzzer's own flags say stop: one.py TARGET [FLAG...]."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["restante"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Fuzz; the process ends within it."""
    name, *flags = sys.argv[1:]
    target = TARGETS[name]
    with target.limited():
        # libFuzzer runs its own command line again when it merges corpora.
        again = f"{sys.executable} {Path(__file__).resolve()} {name}"
        atheris.Setup([again, *flags], target.run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
