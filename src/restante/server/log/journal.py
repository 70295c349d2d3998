"""Log entries with fields in the journal of systemd, by its native protocol.

An entry is one datagram: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/. `journalctl USER=ann` then
finds all events of a user, and `journalctl -p warning` all warnings.
"""

from __future__ import annotations

import os
import re
import socket
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOCKET = "/run/systemd/journal/socket"
PRIORITIES = {"info": 6, "warning": 4, "error": 3}  # as syslog(3) numbers them
IDENTIFIER = "pop3"

_FORBIDDEN = re.compile(r"[^A-Z0-9_]")


class JournalSocket:
    """Sends entries to the journal."""

    def __init__(self, address: str) -> None:
        """Connect to the journal. Raises OSError: it does not run."""
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.connect(address)
        except BaseException:
            self._socket.close()
            raise

    def writelines(self, entries: Sequence[str]) -> int:
        """Send each of these texts of `format_entry`, and return how many are lost."""
        return sum(not self._send(entry.encode("latin-1")) for entry in entries)

    def _send(self, entry: bytes) -> bool:
        """Return whether the journal has an entry. Its socket may be a new one since the last."""
        try:
            self._socket.send(entry)
        except OSError:
            try:
                self._socket.connect(self._address)
                self._socket.send(entry)
            except OSError:
                return False
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor, to wait until the journal accepts an entry."""
        return self._socket.fileno()


def connect_journal(file: IO[str]) -> JournalSocket | None:
    """Return the journal if systemd connected this file to it, else None: systemd.exec(5)."""
    try:
        status = os.fstat(file.fileno())
        if os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}":
            return JournalSocket(SOCKET)
    except (OSError, ValueError):  # no descriptor, or no journal
        return None
    return None


def format_entry(message: str, level: str, values: Mapping[str, object]) -> str:
    """Return an entry, each character of it an octet, without its last line end.

    A key such as `tls` becomes the field TLS.
    """
    fields = {
        **{_FORBIDDEN.sub("_", key.upper()).lstrip("_"): value for key, value in values.items()},
        "MESSAGE": message,
        "PRIORITY": PRIORITIES[level],
        "SYSLOG_IDENTIFIER": IDENTIFIER,
    }
    return b"\n".join(_encode(name, str(value)) for name, value in fields.items()).decode("latin-1")


def _encode(name: str, value: str) -> bytes:
    octets = value.encode(errors="backslashreplace")
    if b"\n" not in octets:
        return name.encode() + b"=" + octets
    return name.encode() + b"\n" + len(octets).to_bytes(8, "little") + octets
