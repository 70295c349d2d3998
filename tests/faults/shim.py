"""The shim of shim.c as Python sees it: a plan for the next child, and the journal it leaves."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
CLIENT = "<client>"  # the path of a socket
_NAME, _PATH, _MAX_CALLS, _ARENA = 256, 4096, 8192, 32 << 20  # as in shim.c
_WAITS, _GOES_ON = 1, 2  # as in shim.c


class Fault(IntEnum):
    """A fault at a call."""

    NONE = 0
    KILL_BEFORE = 1  # the process is killed, and the call never happened
    KILL_AFTER = 2  # ... and the call happened
    FAIL = 3  # it fails, once
    FAIL_ON = 4  # it and all later ones that would change the disk fail; with EIO, all
    SHORT = 5  # half of the octets are read or written
    TORN = 6  # half are, and the process is killed
    MEET = 7  # before it, another process works on the same maildrop
    FULL = 8  # from it on, no file may grow by more than was freed since
    NO_NAMES = 9  # nor may new files be made
    READ_ONLY = 10  # nothing may be changed


STATES = (Fault.FULL, Fault.NO_NAMES, Fault.READ_ONLY)
"""The faults of the disk that last, from one call on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which call is befallen by what; the first call is 1."""

    at: int = 0
    fault: Fault = Fault.NONE
    error: int = 0

    def __str__(self) -> str:
        name = f" {errno.errorcode[self.error]}" if self.error else ""
        return f"{self.fault.name}{name} at call {self.at}"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the journal. Paths are below the mail folder."""

    op: str
    path: str
    other: str
    result: int
    error: int
    flags: int
    offset: int
    length: int  # that a file was cut to
    data: bytes  # what was written or sent, or the target of a link
    fault: Fault

    @property
    def done(self) -> bool:
        """Whether it succeeded."""
        return self.result >= 0


class _Call(ctypes.Structure):
    _fields_ = (
        ("op", ctypes.c_char * 16),
        ("fault", ctypes.c_int32),
        ("error", ctypes.c_int32),
        ("result", ctypes.c_int64),
        ("flags", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("length", ctypes.c_int64),
        ("data", ctypes.c_int64),
        ("path", ctypes.c_char * _NAME),
        ("other", ctypes.c_char * _NAME),
    )


class _Shared(ctypes.Structure):
    _fields_ = (
        ("at", ctypes.c_int32),
        ("fault", ctypes.c_int32),
        ("error", ctypes.c_int32),
        ("count", ctypes.c_int32),
        ("used", ctypes.c_int64),
        ("room", ctypes.c_int64),
        ("names", ctypes.c_int64),
        ("meeting", ctypes.c_int32),
        ("root", ctypes.c_char * _PATH),
        ("calls", _Call * _MAX_CALLS),
        ("arena", ctypes.c_char * _ARENA),
    )


class Shim:
    """The shim that is loaded into this process, and shared with its children."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)  # raises AttributeError below where it is not preloaded
        library.faults_shared.restype = ctypes.c_void_p
        self._library = library
        self._shared = _Shared.from_address(library.faults_shared())

    def plan(self, root: Path, plan: Plan) -> None:
        """Watch what the next child does below a folder, with a journal that is empty."""
        self._shared.root = os.fsencode(root)
        self._shared.meeting = 0
        self._shared.count = self._shared.used = self._shared.room = self._shared.names = 0
        self._shared.fault, self._shared.error = plan.fault, plan.error
        self._shared.at = plan.at

    @property
    def waits(self) -> bool:
        """Whether a call waits for the work of another process."""
        return bool(self._shared.meeting == _WAITS)

    def go_on(self) -> None:
        """Let the call that waits go on."""
        self._shared.meeting = _GOES_ON

    def heal(self) -> None:
        """Let no fault happen any more, nor go on."""
        self._shared.at = 0

    def arm(self) -> None:
        """Watch this process from now on."""
        self._library.faults_arm(1)

    def watch(self, socket: int, *, on: bool) -> None:
        """Take a descriptor for one that leads to a client, or no longer."""
        self._library.faults_watch(socket, on)

    @property
    def root(self) -> str:
        """The folder that is watched."""
        return os.fsdecode(self._shared.root)

    @property
    def count(self) -> int:
        """How many calls there were."""
        return int(self._shared.count)

    def journal(self) -> list[Call]:
        """Return the calls so far."""
        arena = ctypes.addressof(self._shared) + _Shared.arena.offset
        return [
            _read(self._shared.calls[number], arena)
            for number in range(min(self.count, _MAX_CALLS))
        ]


def _read(call: _Call, arena: int) -> Call:
    octets = max(0, call.result) if call.op in (b"write", b"send") else 0
    if call.op == b"symlink" and call.result == 0:
        octets = call.length
    return Call(
        call.op.decode(),
        os.fsdecode(call.path),
        os.fsdecode(call.other),
        call.result,
        call.error,
        call.flags,
        call.offset,
        call.length,
        ctypes.string_at(arena + call.data, octets),
        Fault(call.fault),
    )


def compiled(folder: Path) -> Path:
    """Compile the shim. Raises FileNotFoundError: there is no compiler."""
    compiler = shutil.which("gcc")
    if compiler is None:
        raise FileNotFoundError("gcc")
    library = folder / "shim.so"
    command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", library, SOURCE, "-ldl", "-lpthread"], check=True)
    return library


def preloading(library: Path) -> Mapping[str, str]:
    """Return an environment in which a Python starts with the shim and finds these tests."""
    tests = Path(__file__).parent.parent
    return {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": str(tests)}


def python() -> str:
    """Return the Python that runs these tests."""
    return sys.executable
