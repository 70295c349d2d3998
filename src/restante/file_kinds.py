"""Whether a path exists, and as what. An error of the disk is not a missing file.

From Python 3.14 on, `Path.exists` and its like hide errors, such as those of permissions.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def exists(path: Path) -> bool:
    """Return whether a path exists; links are followed. Raises OSError: that is unknown."""
    return _mode(path) is not None


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file; links are followed. Raises OSError."""
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; links are followed. Raises OSError."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def _mode(path: Path) -> int | None:
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # no file has a NUL in its name
        return None
