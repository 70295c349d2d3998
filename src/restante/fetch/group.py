"""Messages that are delivered together: prepared, noted, delivered, noted again."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

from restante.fetch.errors import FetchError, NothingNotedError
from restante.fetch.interfaces import (
    DestinationError,
    DestinationUnavailableError,
    MessageRefusedError,
    NotDeliveredError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.interfaces import Destination
    from restante.fetch.retrieval import Retrieved


@contextlib.contextmanager
def opening(destinations: Iterable[Destination]) -> Iterator[None]:
    """Open destinations, and close them at the end. Raises FetchError: one of them failed."""
    with contextlib.ExitStack() as stack:
        try:
            for destination in destinations:
                stack.callback(destination.close)
                destination.open()
            yield
        except DestinationError as error:
            raise FetchError("fetch-delivery", str(error)) from error


class Group:
    """Messages that came whole, and are not delivered yet.

    `with` removes the drafts that are left, unless the journal has their tokens.
    """

    def __init__(self, destinations: Mapping[str, Destination], journal: AccountJournal) -> None:
        self._destinations, self._journal = destinations, journal
        self.messages: list[Retrieved] = []
        self.octets = 0

    def add(self, retrieved: Retrieved) -> None:
        """Add a message."""
        self.messages.append(retrieved)
        self.octets += retrieved.content.octets

    def deliver(self) -> list[Retrieved]:
        """Deliver all messages, return them, and be empty.

        A message that a destination rejects has the reason in `refused`; it may be at others.
        Raises DestinationUnavailableError, and FetchError: the journal cannot be written.
        """
        for url, destination in self._destinations.items():
            _prepare(destination, url, self._messages_for(url))
        accepted = [made for made in self.messages if not made.refused]
        if accepted:
            for made in accepted:
                made.in_journal = True
            try:
                self._journal.prepare([made.preparation for made in accepted])
            except NothingNotedError:
                for made in accepted:
                    made.in_journal = False
                raise
            self._journal.confirm((), [made.message.uid for made in accepted if not made.drafts])
        try:
            for url, destination in self._destinations.items():
                self._hand_over(url, destination)
        except DestinationError:
            self._withdraw(self.messages)
            raise
        self._withdraw(made for made in self.messages if made.refused)
        done = self.messages
        self.messages, self.octets = [], 0
        for made in done:
            made.discard()
        return done

    @property
    def complete(self) -> list[Retrieved]:
        """The messages that all destinations have."""
        return [made for made in self.messages if made.in_journal and not made.drafts]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for made in self.messages:
            made.discard()

    def _messages_for(self, url: str) -> list[Retrieved]:
        """Return the messages for a destination, without those that were rejected."""
        return [made for made in self.messages if url in made.drafts and not made.refused]

    def _hand_over(self, url: str, destination: Destination) -> None:
        """Deliver to one destination, and note what arrived, even if the next one fails."""
        delivered: list[Retrieved] = []
        some = self._messages_for(url)
        try:
            for made in some:
                made.handed_over.add(url)
                try:
                    destination.deliver(made.drafts[url])
                except MessageRefusedError as error:
                    made.handed_over.remove(url)
                    made.refused = str(error)
                except DestinationUnavailableError as error:
                    if isinstance(error, NotDeliveredError):
                        made.handed_over.remove(url)
                    error.message = made.message
                    raise
                else:
                    delivered.append(made)
        finally:
            if delivered:
                destination.sync()
                self._note(url, delivered)

    def _withdraw(self, messages: Iterable[Retrieved]) -> None:
        """Note which destinations certainly do not have messages: `settle` could not know it."""
        pairs = [(made, url) for made in messages for url in made.tokens.keys() - made.handed_over]
        if not pairs:
            return
        self._journal.withdraw([(made.message.uid, url) for made, url in pairs])
        for made, url in pairs:
            del made.tokens[url]

    def _note(self, url: str, delivered: Sequence[Retrieved]) -> None:
        for made in delivered:
            del made.drafts[url]
        self._journal.confirm(
            [(made.message.uid, url) for made in delivered],
            [made.message.uid for made in delivered if not made.drafts],
        )


def _prepare(destination: Destination, url: str, some: Sequence[Retrieved]) -> None:
    """Prepare drafts, one at a time where the destination rejects one of them."""
    if not some:
        return
    try:
        tokens = destination.prepare([made.drafts[url] for made in some])
    except MessageRefusedError as error:
        if len(some) == 1:
            some[0].refused = str(error)
            return
        for made in some:
            _prepare(destination, url, [made])
    else:
        for made, token in zip(some, tokens, strict=True):
            made.tokens[url] = token
