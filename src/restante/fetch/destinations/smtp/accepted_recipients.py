"""Which recipients of a message have it already, where a server accepted only some of them.

LMTP gives a reply for each recipient after the message: RFC 2033 section 4.2. The next run sends
the message only to the others. A file has this from the replies until all recipients have it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from restante.durable_folders import make_private_folder, sync_folder
from restante.fetch.destinations.disk_errors import DiskErrors

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT = 400 * 86400  # seconds, as long as the journal remembers messages

_WHAT = "the recipients that have a message cannot be noted in"


class AcceptedRecipients:
    """A folder with a small file for each message that only some recipients have."""

    def __init__(self, folder: str, url: str) -> None:
        self._folder = Path(folder)
        self._destination = hashlib.sha256(url.encode()).hexdigest()[:16]

    def find(self, delivery_id: str) -> set[str]:
        """Return the recipients that have a message. Raises DestinationUnavailableError."""
        with DiskErrors(_WHAT, str(self._folder)):
            try:
                return set(self._file(delivery_id).read_text().split("\n")) - {""}
            except FileNotFoundError:
                return set()

    def add(self, delivery_id: str, recipients: Iterable[str]) -> None:
        """Note recipients, durably. Raises DestinationUnavailableError."""
        accepted = self.find(delivery_id) | set(recipients)
        with DiskErrors(_WHAT, str(self._folder)):
            make_private_folder(self._folder)
            file = self._file(delivery_id)
            written = file.with_suffix(".new")
            try:
                with open(written, "w", opener=_private) as output:
                    output.write("\n".join(sorted(accepted)))
                    output.flush()
                    os.fsync(output.fileno())
                written.replace(file)
            except BaseException:
                written.unlink(missing_ok=True)
                raise
            sync_folder(self._folder)

    def forget(self, delivery_id: str) -> None:
        """Remove what was noted: all recipients have the message. It raises nothing."""
        with contextlib.suppress(OSError):
            self._file(delivery_id).unlink(missing_ok=True)

    def remove_old(self, now: float) -> None:
        """Remove what was noted more than KEPT before `now`. It raises nothing.

        Its messages have left their server, or were given up.
        """
        with contextlib.suppress(OSError):
            for file in self._folder.iterdir():
                if file.stat().st_mtime < now - KEPT:
                    file.unlink()

    def _file(self, delivery_id: str) -> Path:
        return self._folder / f"{delivery_id}-{self._destination}"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
