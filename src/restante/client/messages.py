"""The messages of a maildrop, as LIST and UIDL name them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from restante.protocol.client.tables import QuickValues

if TYPE_CHECKING:
    from collections.abc import ValuesView


class MessageInfo(NamedTuple):
    """A message as the server lists it.

    Attributes:
        number: 1-based, for this session only.
        size: octets as LIST counts them.
        uid: its unique-id, None if the server has none.
    """

    number: int
    size: int
    uid: str | None


class MessageTable(Mapping[int, MessageInfo]):
    """The messages of a maildrop by number, made of LIST's sizes and UIDL's unique-ids.

    Attributes:
        sizes: the octets alone, which are found in less time than a message.
    """

    def __init__(self, sizes: Mapping[int, int], uids: Mapping[int, str]) -> None:
        self.sizes, self._uids = sizes, uids

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[int]:
        return iter(self.sizes)

    def __getitem__(self, number: int) -> MessageInfo:
        return MessageInfo(number, self.sizes[number], self._uids.get(number))

    def values(self) -> ValuesView[MessageInfo]:
        """Return all messages by number; to iterate is faster than to look up."""
        return QuickValues(self, lambda: itertools.starmap(MessageInfo, self.rows()))

    def rows(self) -> Iterator[tuple[int, int, str | None]]:
        """Return the number, size and unique-id of all messages, in half the time."""
        if list(self.sizes) != list(self._uids):
            return ((number, size, self._uids.get(number)) for number, size in self.sizes.items())
        return zip(self.sizes, self.sizes.values(), self._uids.values(), strict=True)


class BaseMessage:
    """The part that messages of both faces share.

    Attributes:
        number: 1-based, good for this session.
        size: octets as LIST counts them.
        uid: its unique-id, None if the server has none.
    """

    def __init__(self, entry: MessageInfo) -> None:
        self.number, self.size, self.uid = entry.number, entry.size, entry.uid

    def __repr__(self) -> str:
        return f"<message {self.number}: {self.size} octets, uid {self.uid!r}>"
