"""What is known of a message that comes in pieces."""

from __future__ import annotations

import hashlib

from restante.fetch.content_counter import ContentCounter
from restante.mail.fields import MAX_OCTETS


def test_pieces_are_one_message() -> None:
    """The octets, the digest and the header do not depend on where the pieces end."""
    message = b"Subject: a\r\n\r\nSubject: b\r\n"
    counter = ContentCounter()
    for place in range(len(message)):
        counter.add(message[place : place + 1])
    assert counter.content() == (
        len(message), hashlib.sha256(message).hexdigest(), b"Subject: a\r\n\r\n"
    )  # fmt: skip


def test_a_long_header_is_cut() -> None:
    """Of a header, the first 256 KiB are kept, and all octets are counted."""
    counter = ContentCounter()
    counter.add(b"x" * MAX_OCTETS)
    counter.add(b"y")
    assert counter.octets == MAX_OCTETS + 1
    assert counter.content().header == b"x" * MAX_OCTETS
