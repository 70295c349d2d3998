"""What pyproject.toml cannot say: the part in C, and the files that belong below share/.

The part in C is optional: without a compiler Restante does the same in Python. RESTANTE_PURE=1
leaves it out, for a wheel that fits every machine.
"""

import os
from pathlib import Path

from setuptools import Extension, setup

SPEEDUPS = Extension(
    "restante.protocol.speedups", ["src/restante/protocol/speedups.c"], optional=True
)


def shared_files() -> list[tuple[str, list[str]]]:
    """Return the man pages and completions, if `make share` has made them, and contrib."""
    found: dict[str, list[str]] = {}
    for top, target in (("share", "share"), ("contrib", "share/restante")):
        for file in sorted(Path(top).rglob("*")):
            if file.is_file():
                folder = Path(target, file.parent.relative_to(top))
                found.setdefault(str(folder), []).append(str(file))
    return list(found.items())


setup(
    ext_modules=[] if os.environ.get("RESTANTE_PURE") else [SPEEDUPS],
    data_files=shared_files(),
)
