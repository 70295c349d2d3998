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
            self._prepare(url, destination)
        accepted = [retrieved for retrieved in self.messages if not retrieved.refused]
        if accepted:
            for retrieved in accepted:
                retrieved.in_journal = True
            try:
                self._journal.prepare([retrieved.preparation for retrieved in accepted])
            except NothingNotedError:
                for retrieved in accepted:
                    retrieved.in_journal = False
                raise
            self._journal.confirm(
                (), [retrieved.message.uid for retrieved in accepted if not retrieved.drafts]
            )
        try:
            for url, destination in self._destinations.items():
                self._hand_over(url, destination)
        except DestinationError:
            self._withdraw(self.messages)
            raise
        self._withdraw(retrieved for retrieved in self.messages if retrieved.refused)
        done = self.messages
        self.messages, self.octets = [], 0
        for retrieved in done:
            retrieved.discard()
        return done

    @property
    def complete(self) -> list[Retrieved]:
        """The messages that all destinations have."""
        return [
            retrieved
            for retrieved in self.messages
            if retrieved.in_journal and not retrieved.drafts
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for retrieved in self.messages:
            retrieved.discard()

    def _messages_for(self, url: str) -> list[Retrieved]:
        """Return the messages for a destination, without those that were rejected."""
        return [
            retrieved
            for retrieved in self.messages
            if url in retrieved.drafts and not retrieved.refused
        ]

    def _prepare(self, url: str, destination: Destination) -> None:
        """Prepare the drafts for one destination. Raises DestinationUnavailableError."""
        some = self._messages_for(url)
        tokens = destination.prepare([retrieved.drafts[url] for retrieved in some]) if some else ()
        for retrieved, token in zip(some, tokens, strict=True):
            retrieved.tokens[url] = token

    def _hand_over(self, url: str, destination: Destination) -> None:
        """Deliver to one destination, and note what arrived, even if the next one fails."""
        delivered: list[Retrieved] = []
        some = self._messages_for(url)
        try:
            for retrieved in some:
                retrieved.handed_over.add(url)
                try:
                    destination.deliver(retrieved.drafts[url])
                except MessageRefusedError as error:
                    retrieved.handed_over.remove(url)
                    retrieved.refused = str(error)
                except DestinationUnavailableError as error:
                    if isinstance(error, NotDeliveredError):
                        retrieved.handed_over.remove(url)
                    error.message = retrieved.message
                    raise
                else:
                    delivered.append(retrieved)
        finally:
            if delivered:
                destination.sync()
                self._note(url, delivered)

    def _withdraw(self, messages: Iterable[Retrieved]) -> None:
        """Note which destinations certainly do not have messages: `settle` could not know it."""
        pairs = [
            (retrieved, url)
            for retrieved in messages
            for url in retrieved.tokens.keys() - retrieved.handed_over
        ]
        if not pairs:
            return
        self._journal.withdraw([(retrieved.message.uid, url) for retrieved, url in pairs])
        for retrieved, url in pairs:
            del retrieved.tokens[url]

    def _note(self, url: str, delivered: Sequence[Retrieved]) -> None:
        for retrieved in delivered:
            del retrieved.drafts[url]
        self._journal.confirm(
            [(retrieved.message.uid, url) for retrieved in delivered],
            [retrieved.message.uid for retrieved in delivered if not retrieved.drafts],
        )
