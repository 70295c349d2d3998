"""Folders that are open for long."""

from __future__ import annotations

import os
from pathlib import Path

from restante.storage.fs import list_folder, scan_folder


def test_a_folder_is_listed_from_its_beginning(tmp_path: Path) -> None:
    """policy/moved-files: a list of an open folder is complete, and does not disturb another one.

    Btrfs and NFS list what is new only after the folder was opened again.
    """
    names = {f"{number:03}{'-' * 200}" for number in range(500)}  # more than one call lists
    for name in names:
        (tmp_path / name).touch()
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    with scan_folder(folder) as begun:
        listed = [next(begun).name]
        assert set(list_folder(folder)) == names
        listed += [entry.name for entry in begun]
    assert sorted(listed) == sorted(names)
    os.close(folder)
