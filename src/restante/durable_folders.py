"""Folders whose names survive a power cut."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from restante.file_kinds import is_folder

if TYPE_CHECKING:
    from pathlib import Path


def make_private_folder(path: Path) -> None:
    """Make a folder with the mode 0700 and all above it that are missing, durably. Raises OSError.

    To sync a file in a folder does not sync the name of the folder.
    """
    if is_folder(path):
        return
    make_private_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)  # another process may be quicker
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
