"""When each app password was last used: in a file beside that of the app passwords, or elsewhere.

A line of the file is `KEY SECONDS`, with seconds since 1970. The server writes the file in place,
so it needs no permission in the folder. A crash may damage the file, so no login depends on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from restante.auth.app_passwords.digests import KEY_LENGTH
from restante.auth.interfaces import UnavailableError
from restante.input_files import open_file
from restante.system_errors import explain_path
from restante.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

PAUSE = 60  # seconds between two writes of a process
PATIENCE = 60  # seconds that a write waits for the one before it
SUFFIX = ".used"
LARGEST = 64 * 1024 * 1024  # octets of a file: a million app passwords


class AppPasswordUses(ABC):
    """Collects uses, and writes them at most once a minute: no login waits for that.

    `warn` is called once with words about why they cannot be written, until they can be again.
    """

    def __init__(
        self,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        pause: float = PAUSE,
    ) -> None:
        """`pause`: seconds between two writes."""
        self._warn = warn
        self._clock = clock
        self._pause = pause
        self._uses: dict[str, int] = {}  # since the last write, by key
        self._timer: asyncio.TimerHandle | None = None  # of the pause after a write
        self._task: asyncio.Task[None] | None = None  # the loop itself keeps no reference
        self._problem = ""

    def note(self, key: str) -> None:
        """Note that an app password was used now."""
        self._uses[key] = int(self._clock())
        if self._timer is None:
            self._write_soon()

    def _write_soon(self) -> None:
        """Write what there is, now and after each pause."""
        self._timer = None
        if self._uses:
            self._timer = asyncio.get_running_loop().call_later(self._pause, self._write_soon)
            self._task = asyncio.ensure_future(self.write())

    async def write(self) -> None:
        """Write the uses since the last time."""
        uses, self._uses = self._uses, {}
        try:
            await self._store(uses)
        except UnavailableError as error:
            problem = str(error)
            if problem != self._problem:
                self._warn(f"{problem}; last uses of app passwords are not noted")
            self._problem = problem
        else:
            self._problem = ""

    async def finish(self) -> None:
        """Write the uses that are left, at the end of a process."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])
        if self._uses:
            await self.write()

    @abstractmethod
    async def _store(self, uses: Mapping[str, int]) -> None:
        """Write uses by key, in seconds since 1970. Raises UnavailableError: they are lost."""


class FileUses(AppPasswordUses):
    """The uses of a file of app passwords, which a thread writes."""

    def __init__(
        self,
        path: Path,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        pause: float = PAUSE,
    ) -> None:
        """`path`: the file of app passwords. `pause`: seconds between two writes."""
        super().__init__(warn, clock, pause)
        self._path = uses_path(path)
        self._threads = Threads("the file of last uses", OSError, most=1, patience=PATIENCE)

    async def _store(self, uses: Mapping[str, int]) -> None:
        try:
            await self._threads.run("", lambda: merge(self._path, uses))
        except OSError as error:
            raise UnavailableError(explain_path(self._path, error)) from error


def uses_path(path: Path) -> Path:
    """Return the file of last uses of a file of app passwords."""
    return path.with_name(path.name + SUFFIX)


def read(path: Path) -> dict[str, int]:
    """Return the last uses in a file by key, in seconds since 1970; none if it is missing.

    Raises OSError.
    """
    try:
        with open_file(path) as file:
            return _parse(file.read(LARGEST))
    except FileNotFoundError:
        return {}


def merge(path: Path, uses: Mapping[str, int]) -> None:
    """Write uses into a file, which is made if it is missing. The latest of a key stays.

    One in the future is of a clock that was wrong, and does not stay. Raises OSError.
    """
    now = time.time()
    with _edit(path) as known_uses:
        for key, seconds in uses.items():
            earlier = known_uses.get(key, 0)
            known_uses[key] = seconds if earlier > now else max(seconds, earlier)


def keep_only(path: Path, keys: Collection[str]) -> None:
    """Remove the uses of app passwords that no longer exist. Raises OSError."""
    with _edit(path) as uses:
        for key in uses.keys() - set(keys):
            del uses[key]


@contextlib.contextmanager
def _edit(path: Path) -> Iterator[dict[str, int]]:
    """Lock a file, and hand out its uses to be changed in place."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = min(os.fstat(file).st_size, LARGEST)
        uses = _parse(os.pread(file, size, 0))
        yield uses
        octets = "".join(f"{key} {seconds}\n" for key, seconds in uses.items()).encode()
        os.pwrite(file, octets, 0)
        os.ftruncate(file, len(octets))
    finally:
        os.close(file)


def _parse(octets: bytes) -> dict[str, int]:
    uses = {}
    for line in octets.decode(errors="replace").splitlines():
        key, _, seconds = line.partition(" ")
        if len(key) == KEY_LENGTH and re.fullmatch("[0-9]{1,12}", seconds):
            uses[key] = int(seconds)
    return uses
