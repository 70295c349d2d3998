"""Accounts in a file, read again whenever it changes."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from restante.auth import hashes, userfile
from restante.auth.api import CredentialsError, UnavailableError
from restante.protocol.secret import Secret
from restante.protocol.state import Identity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


HASHES_AT_ONCE = 2  # each takes 19 MiB and a core


class FileAuthenticator:
    """Proves passwords by a file of accounts.

    `warn` is called with words about each bad line when the file is read.
    """

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self._path = path
        self._warn = warn
        self._accounts = userfile.Accounts({}, [])
        self._read_at: tuple[int, ...] = ()
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, "password")
        self._key = secrets.token_bytes(32)
        self._nobody = hashes.make(Secret(secrets.token_bytes(16)))

    def refresh(self) -> None:
        """Read the file if it has changed. Raises UnavailableError."""
        try:
            status = os.stat(self._path)
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            if stamp == self._read_at:
                return
            self._accounts = userfile.read(self._path)
        except OSError as error:
            raise UnavailableError(f"{self._path}: {error.strerror}") from error
        self._read_at = stamp
        for problem in self._accounts.problems:
            self._warn(problem)

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return whose name and password these are. Raises CredentialsError, UnavailableError."""
        self.refresh()
        stored = self._accounts.hashes.get(user)
        known = stored is not None
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(
            self._threads, hashes.verify, stored or self._decoy(user), password
        )
        if not (known and right):
            raise CredentialsError("wrong name or password")
        return Identity(user)

    def _decoy(self, user: str) -> str:
        """Return some account's hash, always the same for a name that is none.

        To check it takes as long as to check some account's, whatever schemes the file mixes, so
        the time a refusal takes does not tell which names exist.
        """
        others = list(self._accounts.hashes.values()) or [self._nobody]
        digest = hmac.digest(self._key, user.encode(errors="replace"), "sha256")
        return others[int.from_bytes(digest[:8], "big") % len(others)]
