"""Whether a path exists, and as what, and the folders of a user's files.

An error of the disk is not a missing file. From Python 3.14 on, `Path.exists` and its like hide
errors, such as those of permissions.
"""

from __future__ import annotations

import os
import stat
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


def user_configuration() -> Path:
    """Return the folder of what the user has written. Raises RuntimeError: the user has no home."""
    return _folder("XDG_CONFIG_HOME", ".config")


def user_state() -> Path:
    """Return the folder of what programs note. Raises RuntimeError: the user has no home."""
    return _folder("XDG_STATE_HOME", ".local/state")


def _folder(variable: str, usual: str) -> Path:
    """Return the folder of a variable of the XDG Base Directory Specification, if it is absolute.

    A relative one would be another folder for each working directory.
    """
    chosen = os.environ.get(variable, "")
    return (Path(chosen) if os.path.isabs(chosen) else Path.home() / usual) / "restante"
