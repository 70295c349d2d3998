"""Lines kept for the next time, without secrets."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from restante.file_kinds import user_state
from restante.protocol.client.raw_command import redact_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def file_name() -> str:
    """Return the history's file. Raises RuntimeError: the user has no home."""
    return str(user_state() / "history")


def open_(redacted: Callable[[str], str]) -> History:
    """Return the history, which only its owner can read; in memory if it cannot be stored."""
    try:
        name = file_name()
        os.makedirs(os.path.dirname(name), mode=0o700, exist_ok=True)
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.close(descriptor)
        if stat.S_IMODE(os.stat(name).st_mode) & 0o077:
            os.chmod(name, 0o600)
    except (OSError, RuntimeError):
        return _redact_history(InMemoryHistory(), redacted)
    return _redact_history(_LenientFileHistory(name), redacted)


class _LenientFileHistory(FileHistory):
    """A history whose file may fail, as on a full disk: that must not end a session."""

    def load_history_strings(self) -> Iterable[str]:
        """Return the lines of earlier sessions, none if they cannot be read."""
        with contextlib.suppress(OSError):
            return list(super().load_history_strings())
        return []

    def store_string(self, string: str) -> None:
        """Store a line, if that is possible."""
        with contextlib.suppress(OSError):
            super().store_string(string)


def _redact_history(history: History, redacted: Callable[[str], str]) -> History:
    """Remove secrets from each line before it is added."""
    keep = history.append_string

    def append_string(string: str) -> None:
        lines = map(redact_command, string.strip().split("\n"))  # of a text that was pasted
        if text := redacted("\n".join(lines)):
            keep(text)

    history.append_string = append_string  # type: ignore[method-assign]
    return history
