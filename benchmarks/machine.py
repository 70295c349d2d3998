"""The machine of the benchmark."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from peers import COURIER

from restante import __version__


def machine() -> str:
    """Return the machine, in a line."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    python = "the system's Python" if sys.base_prefix == "/usr" else "a Python of its own,"
    jit = getattr(sys, "_jit", None)  # since Python 3.14
    with_jit = ", with its JIT compiler" if jit and jit.is_enabled() else ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{len(os.sched_getaffinity(0))} cores of {model[1] if model else platform.machine()}, "
        f"{memory:.0f} GiB, Linux {platform.release()}, {python} "
        f"{platform.python_version()}{with_jit}"
    )


def versions() -> str:
    """Return the servers with their versions, in a line."""
    dovecot = subprocess.run(["dovecot", "--version"], capture_output=True, check=True, text=True)
    courier = (deb.name.split("_")[1] for deb in COURIER.glob("courier-pop_*.deb"))
    pinned = (Path(__file__).parent / "twisted.txt").read_text()
    told = {
        "Restante": __version__,
        "Dovecot": dovecot.stdout.split()[0],
        "Courier": next(courier, "not measured"),
        "Twisted": pinned.partition("Twisted==")[2].split()[0],
    }
    return ", ".join(f"{name} {version}" for name, version in told.items())
