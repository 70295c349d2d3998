"""Which calls of the system a killed change of an mbox is tried at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from support import killed_child

CALLS = (
    "open", "close", "write", "pwrite", "fsync", "rename", "unlink", "link", "ftruncate", "utime",
    "fchown", "fchmod", "symlink",
)  # fmt: skip


def killed_at_each_call(work: Callable[[], object]) -> Iterator[int]:
    """Run `work` again and again, killed one call later each time, until it comes to its end."""
    return killed_child.killed_at_each_call(work, [(os, name) for name in CALLS])
