"""Folders whose names survive a power cut."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from restante.durable_folders import make_private_folder, sync_folder


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were synced, in their order."""
    paths: list[str] = []

    def fsync(file: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{file}"))

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def test_make(tmp_path: Path, synced: list[str]) -> None:
    """Each missing folder is made for its owner alone, and its name is durable."""
    make_private_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert synced == [str(tmp_path), str(tmp_path / "a")]


def test_make_existing(tmp_path: Path, synced: list[str]) -> None:
    """A folder that exists costs no sync."""
    make_private_folder(tmp_path)
    assert synced == []


def test_file_in_the_way(tmp_path: Path) -> None:
    """The error names a file that is there in place of a folder."""
    (tmp_path / "a").touch()
    with pytest.raises(FileExistsError) as caught:
        make_private_folder(tmp_path / "a")
    assert caught.value.filename == str(tmp_path / "a")


def test_sync(tmp_path: Path, synced: list[str]) -> None:
    """The folder itself is synced."""
    sync_folder(tmp_path)
    assert synced == [str(tmp_path)]
