"""Folders and the command `pop3` for another user, which may not reach this checkout."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import restante
from support.process import POP3

NOBODY = (65_534, 65_534)  # uid and gid

_LEFT_OUT = shutil.ignore_patterns(
    "test", "idlelib", "tkinter", "ensurepip", "lib2to3", "config-*", "site-packages", "pip",
    "mypy*", "ruff*", "sphinx*", "babel", "docutils", "pygments", "*.egg-info", "__editable__*",
)  # fmt: skip


@contextlib.contextmanager
def public_folder() -> Iterator[Path]:
    """Give a folder that programs of any user can reach, while the block runs."""
    with tempfile.TemporaryDirectory(prefix="restante-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def command_for_nobody(folder: Path) -> Path:
    """Return a `pop3` that the user `nobody` can run: the usual one or, in a folder, a copy."""
    uid, gid = NOBODY
    try:
        subprocess.run([POP3, "-V"], user=uid, group=gid, extra_groups=[], check=True)
    except (PermissionError, subprocess.CalledProcessError):
        return _copy(folder)
    return POP3


def _copy(folder: Path) -> Path:
    """Copy Python and what it needs, by hard links where that is possible."""
    version = f"python{sysconfig.get_python_version()}"
    library = folder / "lib" / version
    for source, target in (
        (Path(sysconfig.get_path("stdlib")), library),
        (Path(sysconfig.get_path("purelib")), library / "site-packages"),
        (Path(restante.__file__).parent, library / "site-packages" / "restante"),
    ):
        shutil.copytree(source, target, ignore=_LEFT_OUT, copy_function=_link, dirs_exist_ok=True)
    (folder / "bin").mkdir()
    python = folder / "bin" / version
    _link(os.path.realpath(sys.executable), python)
    shared = Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME"))
    if shared.is_file() and sysconfig.get_config_var("Py_ENABLE_SHARED"):
        _link(str(shared), folder / "lib" / shared.name)  # a static Python has none, as Debian's
    command = folder / "bin" / "pop3"
    command.write_text(
        f"#!/bin/sh\nexport PYTHONHOME={folder} LD_LIBRARY_PATH={folder}/lib\nexec {python} -c "
        '\'from restante.cli.main import main; main(prog_name="pop3")\' "$@"\n'
    )
    command.chmod(0o755)
    return command


def _link(source: str, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
