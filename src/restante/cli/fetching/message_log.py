"""The log of `--log`: a line for each message, without anything of its header or body."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from restante.fetch.events import DoubtSettled, MessageDelivered, MessageParked, MessagesDeleted
from restante.fetch.interfaces import fetch_id
from restante.protocol.text import printable
from restante.system_errors import explain_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.fetch.events import FetchEvent

MAX_CHARACTERS = 1024  # of a value, as in the server's log

_BARE = re.compile(r"[^\s\"=\\]+")


class MessageLog:
    """A file that gets lines at its end. Several programs may write to it at the same time.

    It is opened for each line, so that it may be rotated.
    """

    def __init__(self, path: str) -> None:
        """Make a file with mode 0600 if it is missing; "-" is standard error.

        Raises click.UsageError.
        """
        self._path = path
        try:
            with self._open():
                pass
        except OSError as error:
            raise click.UsageError(f"--log {explain_path(path, error)}") from None

    def write(self, account: str, destinations: str, event: FetchEvent) -> None:
        """Write the lines of an event. A full disk loses lines, and stops nothing."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for name, uid, more in _rows(event, destinations):
            values = {"time": now, "event": name, "account": account, "uid": uid}
            values |= {"id": fetch_id(account, uid), **more}
            line = " ".join(f"{key}={_value(value)}" for key, value in values.items())
            with contextlib.suppress(OSError), self._open() as file:
                os.write(file, f"{self._missing_end(file)}{line}\n".encode())

    def _missing_end(self, file: int) -> str:
        """Return the end of the line before, if a full disk has cut it off."""
        status = os.fstat(file)
        if self._path == "-" or not stat.S_ISREG(status.st_mode) or not status.st_size:
            return ""
        with contextlib.suppress(OSError), open(self._path, "rb") as written:
            written.seek(-1, os.SEEK_END)
            return "" if written.read(1) == b"\n" else "\n"
        return ""  # a log that this user may only write

    @contextlib.contextmanager
    def _open(self) -> Iterator[int]:
        """Give the descriptor of the file. Raises OSError."""
        if self._path == "-":
            yield sys.stderr.fileno()
            return
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        flags |= os.O_NONBLOCK  # a pipe without a reader, or with a slow one, stops nothing either
        file = os.open(self._path, flags, 0o600)
        try:
            yield file
        finally:
            os.close(file)


def _rows(event: FetchEvent, destinations: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    match event:
        case MessageDelivered():
            seconds = f"{event.seconds:.3f}"
            facts = {"octets": event.octets, "seconds": seconds, "to": destinations}
            yield "delivered", event.uid, facts
        case MessageParked():
            yield "parked", event.uid, {"octets": event.size, "reason": event.reason}
        case MessagesDeleted():
            for uid in event.uids:
                yield "deleted", uid, {}
        case DoubtSettled():
            yield "settled", event.uid, {"outcome": event.outcome, "to": event.destination}
        case _:
            pass


def _value(value: object) -> str:
    text = printable(str(value))[:MAX_CHARACTERS]
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
