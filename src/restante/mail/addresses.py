"""Lists of addresses, as in From and To: RFC 5322 section 3.4, in one pass, no recursion."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from restante.mail import encoded_words

MAX_ADDRESSES = 1000  # addresses of a field

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"?|<[^<>]*>?|[(),:;]|\\.|[^"<(),:;\\]+|\\', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address: the name beside it, else the comment, decoded; and the address as written."""

    name: str
    address: str


def parse(octets: bytes) -> list[Mailbox]:
    """Return the addresses of a field in one line, members of groups too, in their order."""
    mailboxes: list[Mailbox] = []
    entry, depth = _Entry(), 0
    for match in _TOKEN.finditer(octets + b","):
        token = match[0]
        if token == b"(":
            depth += 1
        elif depth:
            depth -= token == b")"
            entry.comment += b"" if token == b")" else token
        elif token in (b",", b";"):
            mailboxes += entry.mailboxes()
            entry = _Entry()
            if len(mailboxes) >= MAX_ADDRESSES:
                return mailboxes
        else:
            entry.take(token)
    if depth:  # an open comment: what it hides is better seen
        mailboxes.append(Mailbox(encoded_words.decode(octets), ""))
    return mailboxes


@dataclass(slots=True)
class _Entry:
    """One address of the list, as far as it was read."""

    words: bytearray = field(default_factory=bytearray)
    comment: bytearray = field(default_factory=bytearray)
    address: bytes = b""

    def take(self, token: bytes) -> None:
        """Take a token that is in no comment."""
        if token == b":" and not self.address:
            self.words.clear()  # the words before were the name of a group
        elif token.startswith(b"<") and not self.address:
            self.address = token.strip(b"<> \t")
        elif token.startswith(b'"'):
            self.words += b" " * bool(self.words) + _ESCAPED.sub(rb"\1", token.strip(b'"'))
        else:
            self.words += token

    def mailboxes(self) -> list[Mailbox]:
        """Return what was read, as one address or none."""
        if not (self.words or self.comment or self.address):
            return []
        words, comment = b" ".join(self.words.split()), b" ".join(self.comment.split())
        address = self.address
        if not address and b"@" in words:
            address, words = words.replace(b" ", b""), b""
        name = encoded_words.decode(words or comment)
        return [Mailbox(name, encoded_words.decode(address))] if name or address else []
