"""The maildrop of a session in developer mode: one mailbox as it was at the login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.storage.errors import MessageGoneError, PartialRemovalError
from restante.storage.fs import store_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from restante.developer.mailboxes import DeveloperMailbox, Mailboxes

SHOWN_ONLY = "shown-"  # begins the unique-id of a message that only a fault adds


class DeveloperMaildrop:
    """One mailbox, locked for one session."""

    def __init__(self, mailboxes: Mailboxes, box: DeveloperMailbox) -> None:
        self._mailboxes, self._box = mailboxes, box
        self._held = True
        self.contents, self._messages = mailboxes.show(box)

    def read(self, index: int, lines: int | None = None) -> bytes:  # noqa: ARG002  # the whole is at hand
        """Return a message. Raises MessageGoneError."""
        uid = self.contents.uids[index]
        if uid not in self._box.mail and not uid.startswith(SHOWN_ONLY):
            raise MessageGoneError("the message is gone")
        return self._messages[index]

    async def remove(self, indexes: Sequence[int]) -> None:
        """Remove messages. Raises PartialRemovalError."""
        errors: dict[int, OSError] = {}
        for index in indexes:
            uid, shown = self.contents.uids[index], self._messages[index]
            try:
                self._mailboxes.discard(self._box, uid, self._box.holder, shown)
            except OSError as error:  # of the folder that keeps mail
                errors[index] = error
        if errors:
            first = next(iter(errors.values()))
            summary = store_error("a message cannot be removed", first, "")
            raise PartialRemovalError(summary.text, list(errors), path=summary.path) from first

    async def correct_sizes(self, sizes: Mapping[int, int]) -> None:
        """Do nothing: sizes here are counted, never remembered."""

    def release(self) -> None:
        """Give the lock back."""
        if self._held:
            self._held = False
            self._mailboxes.note_holder(self._box.name, None)
            self._box.lock.release()
