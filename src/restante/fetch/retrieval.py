"""One message from its server into the drafts of its destinations, in constant memory."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.fetch.content_counter import ContentCounter
from restante.fetch.identity import find_message_id, header_digest
from restante.fetch.interfaces import (
    DestinationError,
    DestinationUnavailableError,
    SourceMessage,
)
from restante.fetch.journal_rows import Preparation
from restante.protocol.errors import ServerRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from restante.client.blocking import Maildrop
    from restante.fetch.interfaces import Content, Destination, Draft
    from restante.fetch.planner import MessageEntry
    from restante.protocol.client.operations import MessageEnd

NOTHING_CAME = "the server sent nothing of it, not even a header; the next runs try again"


@dataclass(slots=True)
class Retrieved:
    """A message that came whole.

    Attributes:
        message: the message in its session.
        content: what is known of its octets.
        drafts: its drafts by the URLs of the destinations that do not have it.
        refused: why a destination rejects it, "" while none does.
        seconds: how long it took to come.
        tokens: what `settle` needs for the drafts that are prepared, by the same URLs.
        in_journal: the journal may have the tokens.
        handed_over: the URLs of the destinations that may have it.
    """

    message: MessageEntry
    content: Content
    drafts: dict[str, Draft]
    refused: str = ""
    seconds: float = 0.0
    tokens: dict[str, str] = field(default_factory=dict)
    in_journal: bool = False
    handed_over: set[str] = field(default_factory=set)

    @property
    def preparation(self) -> Preparation:
        """The entry in the journal before the delivery."""
        return Preparation(
            self.message.uid,
            self.message.size,
            self.content.octets,
            self.content.sha256,
            header_digest(self.content.header),
            find_message_id(self.content.header),
            self.tokens,
        )

    def discard(self) -> None:
        """Remove the drafts whose tokens are not in the journal."""
        for url, draft in self.drafts.items():
            if not self.in_journal or url not in self.tokens:
                draft.discard()


class Receiver:
    """A message under way into a draft for each destination.

    Where a destination rejects it, the rest is read all the same: else the session could not go on.
    """

    def __init__(
        self, message: MessageEntry, account: str, destinations: Mapping[str, Destination]
    ) -> None:
        """Start the drafts at destinations, by their URLs. Raises DestinationError."""
        self.message = message
        self._begun = time.monotonic()
        self._counter = ContentCounter()
        self._refused = ""
        self._drafts: dict[str, Draft] = {}
        source = SourceMessage(account, message.uid, message.size)
        try:
            for url, destination in destinations.items():
                self._drafts[url] = destination.start(source)
        except BaseException as error:
            self.discard()
            if isinstance(error, DestinationUnavailableError):
                error.message = message
            raise

    @property
    def octets(self) -> int:
        """How many octets have come."""
        return self._counter.octets

    def write(self, octets: bytes) -> None:
        """Add octets. Raises DestinationUnavailableError."""
        self._counter.add(octets)
        if not self._refused:
            try:
                for draft in self._drafts.values():
                    draft.write(octets)
            except DestinationError as error:
                self._note(error)

    def finish(self) -> Retrieved:
        """Return the message, which is whole. Raises DestinationUnavailableError."""
        content = self._counter.content()
        if not self._refused:
            try:
                for draft in self._drafts.values():
                    draft.finish(content)
            except DestinationError as error:
                self._note(error)
        seconds = time.monotonic() - self._begun
        return Retrieved(self.message, content, self._drafts, self._refused, seconds)

    def _note(self, error: DestinationError) -> None:
        """Note a refusal. Raises DestinationUnavailableError: it is another error."""
        if isinstance(error, DestinationUnavailableError):
            error.message = self.message
            raise error
        self._refused = str(error) or "refused"

    def discard(self) -> None:
        """Remove the drafts."""
        for draft in self._drafts.values():
            draft.discard()


def retrieve_pieces(
    drop: Maildrop, numbers: Sequence[int], *, ahead: bool, is_stopping: Callable[[], bool]
) -> Iterator[tuple[int, bytes | MessageEnd | ServerRefusedError]]:
    """Return the octets of messages and their ends, as they come, with the numbers of the messages.

    Commands are sent ahead of their replies with `ahead`, which is safe only where LIST is exact.
    """
    if ahead and drop.session.can_pipeline:
        return drop.retrieve_many(numbers)
    return _retrieve_in_turn(drop, numbers, is_stopping)


def _retrieve_in_turn(
    drop: Maildrop, numbers: Sequence[int], is_stopping: Callable[[], bool]
) -> Iterator[tuple[int, bytes | MessageEnd | ServerRefusedError]]:
    for number in numbers:
        if is_stopping():
            return
        ended: list[MessageEnd] = []
        try:
            for piece in drop.retrieve(number, ended=ended):
                yield number, piece
        except ServerRefusedError as refused:
            yield number, refused
        else:
            yield number, ended[-1]
