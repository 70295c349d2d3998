"""A maildrop without messages, in place of a folder that does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.protocol.server.maildrop import MessageList
from restante.storage.errors import MessageGoneError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class EmptyMaildrop:
    """No messages, and no lock: any number of sessions may read it."""

    contents = MessageList((), ())

    def read(self, index: int, lines: int | None = None) -> bytes:  # noqa: ARG002  # there is none
        """Raise MessageGoneError."""
        raise MessageGoneError("the maildrop is empty")

    async def remove(self, indexes: Sequence[int]) -> None:
        """Do nothing."""

    async def correct_sizes(self, sizes: Mapping[int, int]) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing."""
