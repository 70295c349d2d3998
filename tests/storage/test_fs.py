"""Folders that are open for long."""

from __future__ import annotations

import os
from pathlib import Path

from restante.storage.fs import list_folder, scan_folder


def test_a_folder_is_listed_from_its_beginning(tmp_path: Path) -> None:
    """policy/moved-files: Btrfs lists new names only after the descriptor was set to the beginning.

    Other file systems show here that it was: a list that another one began goes on after that.
    """
    for name in "abc":
        (tmp_path / name).touch()
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    with os.scandir(folder) as begun:
        next(begun)
        assert os.listdir(folder) == []
        assert sorted(list_folder(folder)) == ["a", "b", "c"]
    with os.scandir(folder) as begun:
        next(begun)
        with scan_folder(folder) as entries:
            assert sorted(entry.name for entry in entries) == ["a", "b", "c"]
    os.close(folder)
