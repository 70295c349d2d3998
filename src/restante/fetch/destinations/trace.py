"""Trace fields on top of each message, for `trace = true`: where it came from, and when.

The server of the account has delivered the message already, so its Return-Path stays as it is.
"""

from __future__ import annotations

import email.utils
from typing import TYPE_CHECKING, cast

from restante.fetch.content_counter import ContentCounter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from restante.fetch.interfaces import Content, Destination, Draft, Settled, SourceMessage


def trace_fields(user: str, server: str, host: str, seconds: float) -> bytes:
    """Return the fields Delivered-To and Received, with CR LF ends. RFC 5321 section 4.4.

    `seconds` since 1970 are the time of the retrieval.
    """
    date = email.utils.formatdate(seconds, localtime=True)
    texts = [_printable(text) for text in (user, server, host)]
    return (
        "Delivered-To: {0}\r\nReceived: from {1} by {2} (Restante) with POP3\r\n"
        "    for <{0}>; {date}\r\n".format(*texts, date=date).encode()
    )


def _printable(text: str) -> str:
    """Return a text for a header field; it cannot begin another field."""
    return "".join(c if c.isprintable() else "?" for c in text)


class TracedDraft:
    """A draft that begins with the trace fields."""

    def __init__(self, draft: Draft, added: bytes) -> None:
        self.draft = draft
        self._counter = ContentCounter()
        self.write(added)

    def write(self, octets: bytes) -> None:
        """Add octets."""
        self._counter.add(octets)
        self.draft.write(octets)

    def finish(self, content: Content) -> None:
        """Note that the message is whole; its destination has more octets than its source.

        The header stays that of the source: its recipient and date are not those on top.
        """
        self.draft.finish(self._counter.content()._replace(header=content.header))

    def discard(self) -> None:
        """Remove it."""
        self.draft.discard()


class TracedDestination:
    """A destination whose messages begin with the fields that `trace` returns."""

    def __init__(self, destination: Destination, trace: Callable[[], bytes]) -> None:
        self.url = destination.url
        self.batch = destination.batch
        self._destination = destination
        self._trace = trace

    def open(self) -> None:
        """Open the destination."""
        self._destination.open()

    def start(self, message: SourceMessage) -> Draft:
        """Return a draft with the fields in it."""
        draft = self._destination.start(message)
        try:
            return TracedDraft(draft, self._trace())
        except BaseException:
            draft.discard()
            raise

    def prepare(self, drafts: Sequence[Draft]) -> list[str]:
        """Make drafts durable."""
        return self._destination.prepare([cast(TracedDraft, draft).draft for draft in drafts])

    def deliver(self, draft: Draft) -> None:
        """Deliver a message."""
        self._destination.deliver(cast(TracedDraft, draft).draft)

    def sync(self) -> None:
        """Make durable what was delivered."""
        self._destination.sync()

    def settle(self, token: str) -> Settled:
        """Ask the destination."""
        return self._destination.settle(token)

    def close(self) -> None:
        """Close the destination."""
        self._destination.close()
