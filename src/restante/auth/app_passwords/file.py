"""App passwords: further passwords of an account, each for one program, each revocable.

They are in a file of their own, so they work with every source of accounts. A line is
`ACCOUNT:LABEL:CREATED:DIGEST`. Lines that begin with "#" are comments. `pop3 user app-password`
writes the file; the server reads it again when it changes.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from restante.auth.app_passwords.digests import LENGTH, digest_of, digest_of_letters, key_of
from restante.auth.file import passwd_file
from restante.auth.reloaded_file import ReloadedFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from restante.protocol.secret import Secret

LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # 32, none of which looks like another
GROUP = 4  # letters between two dashes
LONGEST_LABEL = 64  # characters
HEADER = "# App passwords, written by `pop3 user app-password`."

_DIGEST = re.compile("[0-9a-f]{64}")
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class AppPassword:
    """One app password, without the password itself."""

    account: str
    label: str
    created: str  # as ISO 8601 has it, in UTC, without separators
    digest: str  # SHA-256 in hexadecimal digits

    @classmethod
    def parse(cls, line: str) -> AppPassword:
        """Read a line. Raises ValueError: what is wrong with it, in words."""
        fields = line.split(":")
        if len(fields) != 4:
            raise ValueError("it does not have four fields")
        parsed = cls(*fields)
        if problem := passwd_file.name_problem(parsed.account) or label_problem(parsed.label):
            raise ValueError(problem)
        if not _DIGEST.fullmatch(parsed.digest):
            raise ValueError("its digest is invalid")
        return parsed

    def __str__(self) -> str:
        """Return the line."""
        return f"{self.account}:{self.label}:{self.created}:{self.digest}"

    @property
    def key(self) -> str:
        """A short name of it that reveals nothing, for the file of last uses."""
        return key_of(self.digest)

    @property
    def created_at(self) -> str:
        """When it was made, as ISO 8601 has it."""
        day, _, clock = self.created.partition("T")
        return f"{day[:4]}-{day[4:6]}-{day[6:8]}T{clock[:2]}:{clock[2:4]}:{clock[4:6]}Z"


def create(account: str, label: str, now: float) -> tuple[AppPassword, str]:
    """Return a new app password, and the password to show once. `now` is in seconds since 1970."""
    letters = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
    created = time.strftime(_TIME, time.gmtime(now))
    grouped = "-".join(letters[i : i + GROUP] for i in range(0, LENGTH, GROUP))
    return AppPassword(account, label, created, digest_of_letters(letters.encode())), grouped


def label_problem(label: str) -> str | None:
    """Return why no app password can have this label, in words; None for a good one."""
    if not label or len(label) > LONGEST_LABEL or label != label.strip():
        return f"a label must have 1 to {LONGEST_LABEL} characters, and no space at its ends"
    if not label.isprintable() or ":" in label:
        return "a label must not contain control characters or ':'"
    return None


def read(path: Path) -> tuple[list[AppPassword], list[str]]:
    """Return the app passwords in a file, and its problems in words. Raises OSError."""
    passwords: list[AppPassword] = []
    problems = []
    for place, line in enumerate(passwd_file.read_lines(path), 1):
        if not line or line.startswith("#"):
            continue
        try:
            passwords.append(AppPassword.parse(line))
        except ValueError as problem:
            problems.append(f"{path}:{place}: this app password cannot log in: {problem}")
    return passwords, problems


class _Entries(NamedTuple):
    by_digest: dict[str, AppPassword]
    keys: set[str]


class AppPasswordFile(ReloadedFile[_Entries]):
    """The app passwords in a file, which is read again when it changes.

    A file that cannot be used says nothing about any password: `find` raises UnavailableError then.
    """

    consequence = "app passwords cannot log in"

    def __init__(
        self, path: Path, warn: Callable[[str], None], alarm: Callable[[str], None]
    ) -> None:
        super().__init__(path, warn, alarm)
        self._by_digest: dict[str, AppPassword] = {}
        self._keys: set[str] = set()

    def find(self, password: Secret) -> AppPassword | None:
        """Return the app password that a login has sent, None for any other password.

        The time says only whether the form is right. Raises UnavailableError.
        """
        digest = digest_of(password)
        if digest is None:
            return None
        self.refresh()
        return self._by_digest.get(digest)

    async def find_in_thread(self, password: Secret) -> AppPassword | None:
        """Return what `find` does, but read a changed file in a thread. Raises UnavailableError."""
        digest = digest_of(password)
        if digest is None:
            return None
        await self.refresh_in_thread()
        return self._by_digest.get(digest)

    def has(self, key: str) -> bool:
        """Return whether there still is an app password. Raises UnavailableError."""
        self.refresh()
        return key in self._keys

    def _read_entries(self) -> tuple[_Entries, list[str]]:
        passwords, problems = read(self.path)
        entries = _Entries(
            {password.digest: password for password in passwords},
            {password.key for password in passwords},
        )
        return entries, problems

    def _use_entries(self, entries: _Entries) -> tuple[dict[str, AppPassword]]:
        old_passwords, (self._by_digest, self._keys) = self._by_digest, entries
        return (old_passwords,)

    def _has_entries(self) -> bool:
        return bool(self._by_digest)
