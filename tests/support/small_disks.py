"""Disks of a test's own: small ones that can be filled, and made read-only; and what disks can."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.storage.fs import read_if_cached
from support.programs import need


@contextlib.contextmanager
def small_disk(folder: Path, size: str = "2m") -> Iterator[Path]:
    """Mount a small disk in memory, as root only; else the test is skipped."""
    with _mounted("-t", "tmpfs", "-o", f"size={size}", "none", folder=folder):
        yield folder


@contextlib.contextmanager
def btrfs_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of Btrfs, as root only; else the test is skipped."""
    image = folder.with_name("btrfs.img")
    with image.open("wb") as file:
        file.truncate(128 * 1024 * 1024)  # it has holes
    subprocess.run([need("mkfs.btrfs"), "-q", image], check=True)
    with _mounted("-o", "loop", str(image), folder=folder):
        yield folder


@contextlib.contextmanager
def _mounted(*disk: str, folder: Path) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    need("mount")
    folder.mkdir(exist_ok=True)
    command = ["mount", *disk, str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a disk, or does not know its file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def need_nowait(folder: Path) -> None:
    """Skip the test on a disk that cannot read what is in memory at once, such as tmpfs."""
    (folder / "nowait").write_bytes(b"x")
    with (folder / "nowait").open("rb") as file:
        can_read = read_if_cached(file.fileno(), 1) is not None
    (folder / "nowait").unlink()
    if not can_read:
        pytest.skip("this disk does not know RWF_NOWAIT")


def fill(folder: Path) -> None:
    """Leave no octet of room on a disk."""
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        for block in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * block):
                    pass


def take_all_names(folder: Path) -> None:
    """Leave no file to be made on a disk, though there are free octets."""
    options = f"remount,nr_inodes={os.statvfs(folder).f_files - os.statvfs(folder).f_ffree}"
    subprocess.run(["mount", "-o", options, folder], check=True)


def make_read_only(folder: Path) -> None:
    """Let nothing more be written to a disk."""
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)


def free_octets(folder: Path) -> int:
    """Return how much room there is."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
