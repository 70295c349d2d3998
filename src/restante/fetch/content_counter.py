"""A message is counted while it comes: its octets, their digest, and its header."""

from __future__ import annotations

import hashlib

from restante.client.header_part import HeaderPart
from restante.fetch.interfaces import Content
from restante.mail.fields import MAX_OCTETS


class ContentCounter:
    """The part of a message that has come.

    Attributes:
        octets: how many of them have come.
    """

    def __init__(self) -> None:
        self.octets = 0
        self._digest = hashlib.sha256()
        self._header = HeaderPart(MAX_OCTETS)

    def add(self, octets: bytes) -> None:
        """Add the next octets."""
        self.octets += len(octets)
        self._digest.update(octets)
        self._header.feed(octets)

    def content(self) -> Content:
        """Return what has come as a whole message."""
        return Content(self.octets, self._digest.hexdigest(), self._header.octets)
