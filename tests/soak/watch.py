"""The memory, files and threads of a process, according to /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

KIB = 1024
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a process; memory is in octets."""

    seconds: float  # since the beginning
    resident: int
    proportional: int  # the same, less what others share: PSS
    threads: int
    descriptors: int
    sockets: int

    def __str__(self) -> str:
        return (
            f"{self.seconds:>8.0f}{self.sockets:>9}{self.descriptors:>13}{self.threads:>9}"
            f"{self.resident / MIB:>9.1f}{self.proportional / MIB:>9.1f}"
        )


HEAD = f"{'seconds':>8}{'sockets':>9}{'descriptors':>13}{'threads':>9}{'RSS MiB':>9}{'PSS MiB':>9}"


def look(process: int, seconds: float = 0) -> Sample:
    """Look at a process. Raises OSError: it is gone."""
    status = _fields(Path(f"/proc/{process}/status"))
    rollup = _fields(Path(f"/proc/{process}/smaps_rollup"))
    opened = _opened(process)
    return Sample(
        seconds,
        int(status["VmRSS"].split()[0]) * KIB,
        int(rollup["Pss"].split()[0]) * KIB,
        int(status["Threads"]),
        len(opened),
        sum(target.startswith("socket:") for target in opened),
    )


def _opened(process: int) -> list[str]:
    """Return what the descriptors of a process stand for."""
    folder = f"/proc/{process}/fd"
    targets = []
    for descriptor in os.listdir(folder):
        try:
            targets.append(os.readlink(f"{folder}/{descriptor}"))
        except FileNotFoundError:
            continue  # closed meanwhile
    return targets


def _fields(path: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in path.read_text().splitlines())
    return {name: value.strip() for name, _, value in pairs}
