"""The upgrade of weak hashes in a file of accounts, after logins with the correct password.

An editor may have the file open at the same time. So the new hashes are written only after the file
has not changed for a while, all at once, and only where the old hash is still there. After an
error, the old hash stays, and the next login tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
from typing import TYPE_CHECKING

from restante.auth.file import passwd_file
from restante.auth.interfaces import UnavailableError
from restante.auth.passwords import hashing as password_hashing
from restante.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

    from restante.protocol.secret import Secret

PAUSE = 60  # seconds for which new hashes are collected; each change costs all processes a reading
REST = 10.0  # seconds without a change, after which an editor is surely done
MAX_WAITING = 1000  # new hashes that wait
PATIENCE = 60  # seconds that a change waits for a thread


class HashUpgrader:
    """Replaces weak hashes of one file. `note` is called with their number, `warn` with words.

    A file that cannot be written gets one warning, and no further try.
    """

    def __init__(
        self,
        path: Path,
        note: Callable[[int], None],
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._note = note
        self._warn = warn
        self._clock = clock
        self._hashing = password_hashing.threads()
        self._writing = Threads("the file of accounts", UnavailableError, most=1, patience=PATIENCE)
        self._new: dict[str, tuple[str, str]] = {}  # old and new hash, by the name of the account
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._disabled = False

    def replace(self, name: str, stored: str, password: Secret) -> None:
        """Replace the hash of an account later. Its password was just verified."""
        has_no_place = len(self._new) >= MAX_WAITING or name in self._new
        if not (self._disabled or has_no_place) and password_hashing.is_weak(stored):
            self._start(self._hash(name, stored, password))

    async def write(self) -> None:
        """Write the new hashes, or later if the file is changing now."""
        self._timer = None
        new, self._new = self._new, {}
        try:
            written = await self._writing.run("", functools.partial(self._write_now, new))
        except UnavailableError:
            written = None  # no thread is free now
        except OSError as error:
            self._disabled = True
            reason = error.strerror or error
            self._warn(f"{self._path}: weak hashes cannot be replaced: {reason}")
            return
        if written is None:
            self._new = new | self._new
            self._wait(REST)
        elif written:
            self._note(written)

    async def _hash(self, name: str, stored: str, password: Secret) -> None:
        work = functools.partial(password_hashing.hash_anew, stored, password)
        with contextlib.suppress(UnavailableError):  # too many logins now; the next one tries again
            new = await self._hashing.run(name, work)
            if new is not None:
                self._new[name] = stored, new
                self._wait(PAUSE)

    def _wait(self, seconds: float) -> None:
        """Write after some seconds, unless that is planned already."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds, lambda: self._start(self.write()))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the event loop itself would let go of it
        task.add_done_callback(self._tasks.discard)

    def _write_now(self, new: Mapping[str, tuple[str, str]]) -> int | None:
        """Return how many hashes were replaced, in a thread; None if the file is not at rest.

        Raises OSError.
        """
        if abs(self._clock() - os.stat(self._path).st_mtime) < REST:
            return None
        written = 0
        try:
            with passwd_file.edit(self._path, create=False) as lines:
                for place, line in enumerate(lines):
                    old, hash_ = new.get(passwd_file.name_of(line), ("", ""))
                    changed = old and passwd_file.replace_hash(line, old, hash_)
                    if changed:
                        lines[place] = changed
                        written += 1
        except passwd_file.ChangedError:
            return None
        return written
