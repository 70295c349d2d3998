"""The contract of a destination. Its test module gives the fixture `place`, and imports this."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Protocol

import pytest

from restante.fetch.interfaces import Content, Destination, Draft, Settled, SourceMessage
from restante.fetch.spool import IN_MEMORY

LETTER = b"From: ann@example.com\r\nSubject: a\r\n\r\nhello\r\n"
OTHER = b"From: bob@example.com\r\nSubject: b\r\n\r\nhello again\r\n"
CHUNK = 64 * 1024  # octets
ODD = [
    b"\r\n",
    b".\r\n",
    b".\r\n.\r\n..\r\n",
    b"Subject: only a header\r\n",
    b"Subject: a\r\n\r\nno last line end",
    b"Subject: a\r\n\r\na lone\rCR\r\n",
    b"Subject: a\r\n\r\n\r\r\n\r\r\r\n",
    b"Subject: a\r\n\r\nNUL\0\r\n",
    b"Subject: \xff\xfe latin \xe9\r\n\r\n\xe9\r\n",
    b"Subject: a\r\n\r\n" + b"x" * 100_000 + b"\r\n",
    b"From ann\r\n>From bob\r\n\r\nFrom ann\r\n>From bob\r\n",
    b"From ann@example.com Fri Nov 27 10:00:00 2026\r\n\r\nFrom a Fri Nov 27 10:00:00 2026\r\n",
    b"Subject: blanks \r\n\r\n \t\r\n\r\n\r\n",
]


class Place(Protocol):
    """Where a destination delivers, seen from outside.

    Attributes:
        exact: whether `settle` knows what became of a message. Else it always says UNKNOWN.
    """

    exact: bool

    def destination(self) -> Destination:
        """Return a destination as another process has it, not opened."""

    def messages(self) -> list[bytes]:
        """Return what readers see, in the order of delivery.

        It is what the server sent, so CR LF ends, without what the destination adds.
        """

    def remove_all(self) -> None:
        """Remove all mail, as a reader does."""

    def carries(self, message: bytes) -> bool:
        """Return whether octets such as these can arrive unchanged."""


def source(number: int = 1, size: int = 0) -> SourceMessage:
    """Return a message at its source."""
    uid = f"uid-{number}"
    return SourceMessage("ann", uid, size)


def content(message: bytes) -> Content:
    """Return what the fetcher found out about a message."""
    header = message.partition(b"\r\n\r\n")[0]
    return Content(len(message), hashlib.sha256(message).hexdigest(), header)


def write(destination: Destination, message: bytes, number: int = 1, chunk: int = CHUNK) -> Draft:
    """Return a finished draft."""
    draft = destination.start(source(number, len(message)))
    for place in range(0, len(message), chunk):
        draft.write(message[place : place + chunk])
    draft.finish(content(message))
    return draft


def prepare(
    destination: Destination, *messages: bytes, first: int = 0
) -> tuple[list[Draft], list[str]]:
    """Return prepared drafts, one batch, and their tokens. `first` is the first one's number."""
    drafts = [write(destination, message, number) for number, message in enumerate(messages, first)]
    return drafts, destination.prepare(drafts)


def deliver(destination: Destination, *messages: bytes) -> list[str]:
    """Deliver messages in batches, as the fetcher does, and return their tokens."""
    tokens: list[str] = []
    for batch in batches(destination, messages):
        drafts, found = prepare(destination, *batch, first=len(tokens))
        for draft in drafts:
            destination.deliver(draft)
        destination.sync()
        tokens += found
    return tokens


def batches(destination: Destination, messages: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Return messages in parts that the destination accepts at once."""
    for first in range(0, len(messages), destination.batch):
        yield messages[first : first + destination.batch]


def opened(place: Place) -> Destination:
    """Return a destination that can be used at once."""
    destination = place.destination()
    destination.open()
    return destination


@pytest.mark.parametrize("chunk", [1, 3, CHUNK])
@pytest.mark.parametrize("message", ODD, ids=lambda message: repr(message[:40]))
def test_a_message_arrives_octet_for_octet(place: Place, message: bytes, chunk: int) -> None:
    """A message arrives octet for octet, whatever the pieces in which it came."""
    if not place.carries(message):
        pytest.skip("octets such as these cannot arrive unchanged there")
    destination = opened(place)
    draft = write(destination, message, chunk=max(chunk, len(message) // 1000))
    destination.prepare([draft])
    destination.deliver(draft)
    destination.sync()
    destination.close()
    assert place.messages() == [message]


def test_messages_arrive_in_order(place: Place) -> None:
    """Messages of several batches arrive in order, with a token each."""
    letters = [LETTER.replace(b"hello", b"hello %d" % number) for number in range(70)]
    destination = opened(place)
    tokens = deliver(destination, *letters)
    destination.close()
    assert sorted(place.messages()) == sorted(letters)
    assert len(set(tokens)) == len(letters)
    assert max(map(len, tokens)) <= 2000


def test_nobody_sees_a_draft(place: Place) -> None:
    """No reader sees a message before it is delivered."""
    destination = opened(place)
    unfinished = destination.start(source(2))
    unfinished.write(OTHER)
    prepare(destination, LETTER)
    assert place.messages() == []
    destination.close()


def test_a_token_of_rules(place: Place) -> None:
    """A token of rules that were removed is not understood, and so leaves a doubt."""
    destination = opened(place)
    for token in ("rule 0123456789abcdef 5 1.M2P3.host,S=4,W=5", "dropped"):
        try:
            outcome = destination.settle(token)
        except ValueError:
            outcome = Settled.UNKNOWN
        assert outcome is not Settled.NOT_HERE
    destination.close()
    assert place.messages() == []


def test_a_discarded_draft_leaves_nothing(place: Place) -> None:
    """A draft that is discarded, finished or not, is never delivered, and others are."""
    destination = opened(place)
    open_files = len(os.listdir("/proc/self/fd"))
    unfinished = destination.start(source(2))
    unfinished.write(b"x" * IN_MEMORY * 2)
    unfinished.discard()
    write(destination, OTHER, 3).discard()
    assert len(os.listdir("/proc/self/fd")) == open_files
    deliver(destination, LETTER)
    destination.close()
    unfinished.discard()
    assert place.messages() == [LETTER]


def test_a_delivered_message_is_settled_as_here(place: Place) -> None:
    """A delivery before a crash is found out, and not repeated."""
    destination = opened(place)
    [token] = deliver(destination, LETTER)
    destination.close()
    settled = settle(place, token)
    assert settled == (Settled.HERE if place.exact else Settled.UNKNOWN)
    assert place.messages() == [LETTER]


def test_a_prepared_message_is_settled_once(place: Place) -> None:
    """A message that was prepared before a crash is either delivered by `settle`, or not there."""
    destination = opened(place)
    [token] = prepare(destination, LETTER)[1]
    destination.close()
    settled = settle(place, token)
    assert settled in ({Settled.HERE, Settled.NOT_HERE} if place.exact else {Settled.UNKNOWN})
    assert place.messages() == ([LETTER] if settled is Settled.HERE else [])
    if settled is Settled.HERE:
        assert settle(place, token) is Settled.HERE
        assert place.messages() == [LETTER]


def test_a_prepared_message_outlives_close(place: Place) -> None:
    """A run that ends between the journal and the delivery loses nothing."""
    destination = opened(place)
    [token] = prepare(destination, LETTER)[1]
    destination.close()
    settled = settle(place, token)
    assert place.messages() == ([LETTER] if settled is Settled.HERE else [])


def test_each_message_of_a_batch_is_settled(place: Place) -> None:
    """Of a batch that was cut off, each message is settled by its own token."""
    destination = opened(place)
    count = min(destination.batch, 3)
    letters = [LETTER.replace(b"hello", b"hello %d" % number) for number in range(count)]
    drafts, tokens = prepare(destination, *letters)
    destination.deliver(drafts[0])
    destination.close()
    settled = [settle(place, token) for token in tokens]
    if place.exact:
        here = [letter for letter, found in zip(letters, settled, strict=True) if found == "here"]
        assert sorted(place.messages()) == sorted(here)
        assert letters[0] in here


def test_a_destination_can_be_opened_again(place: Place) -> None:
    """After `close` a destination can be opened again; to close it twice is harmless."""
    destination = opened(place)
    deliver(destination, LETTER)
    destination.close()
    destination.close()
    destination.open()
    deliver(destination, OTHER)
    destination.close()
    assert place.messages() == [LETTER, OTHER]


def test_close_without_open_is_harmless(place: Place) -> None:
    """A destination that was never opened, or could not be, can be closed."""
    destination = place.destination()
    destination.close()
    assert place.messages() == []


def test_a_large_message_needs_little_memory(place: Place) -> None:
    """A message of 16 MiB is never whole in memory."""
    line = b"0123456789" * 7 + b"\r\n"
    piece = line * (CHUNK // len(line))
    count = 16 * 1024 * 1024 // len(piece)
    digest = hashlib.sha256()
    destination = opened(place)
    tracemalloc.start()
    try:
        draft = destination.start(source(size=count * len(piece)))
        for _ in range(count):
            draft.write(piece)
            digest.update(piece)
        draft.finish(Content(count * len(piece), digest.hexdigest(), b""))
        destination.prepare([draft])
        destination.deliver(draft)
        destination.sync()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    destination.close()
    [arrived] = place.messages()
    assert hashlib.sha256(arrived).digest() == digest.digest()
    assert peak < 4 * 1024 * 1024


def settle(place: Place, token: str) -> Settled:
    """Settle a token as the next process does."""
    destination = opened(place)
    settled = destination.settle(token)
    destination.close()
    return settled
