"""A digest that recognizes a message, whatever a server did to line ends and trace fields."""

from __future__ import annotations

import hashlib
import re

from restante.mail import fields

_NAMED = ("date", "from", "subject", "message-id")
_SEARCHABLE = re.compile(r"<?([!#-'*-;=?-z|~]{1,500})>?")


class NormalDigest:
    """The digest of a message, whatever a server does to its line ends and NUL octets.

    Dovecot shows a NUL as the octet 128, and adds an end to the last line.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._ends = 0  # line ends that were not followed by anything yet

    def feed(self, octets: bytes) -> None:
        """Add octets."""
        octets = octets.replace(b"\0", b"\x80").replace(b"\r", b"")
        text = octets.rstrip(b"\n")
        if text:
            self._digest.update(b"\n" * self._ends + text)
            self._ends = 0
        self._ends += len(octets) - len(text)

    def hexdigest(self) -> str:
        """Return the digest in hexadecimal digits."""
        return self._digest.hexdigest()


class ContentDigest:
    """The digest of the author's fields and of the body: servers add fields such as Received.

    Two messages with one Message-ID differ by it, unless all that a reader sees is the same.
    """

    def __init__(self) -> None:
        self._head = bytearray()  # until the header is whole
        self._digest: NormalDigest | None = None

    def feed(self, octets: bytes) -> None:
        """Add octets."""
        if self._digest is not None:
            self._digest.feed(octets)
            return
        self._head += octets
        if len(self._head) >= fields.MAX_OCTETS:
            self._begin()

    def hexdigest(self) -> str:
        """Return the digest in hexadecimal digits; nothing can be added any more."""
        return (self._digest or self._begin()).hexdigest()

    def _begin(self) -> NormalDigest:
        """Read the header, and begin with its fields and the first octets of the body."""
        header = fields.split(bytes(self._head[: fields.MAX_OCTETS]))
        digest = self._digest = NormalDigest()
        for name in _NAMED:
            value = b" ".join(header.first(name).split())
            digest.feed(b"%d " % len(value) + value)
        digest.feed(bytes(self._head[header.body :]))
        self._head.clear()
        return digest


def searchable_id(message_id: str) -> str:
    """Return a Message-ID as Gmail's search has it, "" for one that does not fit into a search."""
    match = _SEARCHABLE.fullmatch(message_id)
    return match[1] if match else ""
