"""The odd messages that a server must give back as they are."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.protocol.stuffing import encode_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MARK = "X-Restante-Verify"
BORDER = 65_536  # octets that many programs read at once


@dataclass(frozen=True, slots=True)
class SampleMessage:
    """A message as it is stored, and its name in this run."""

    name: str
    mark: str  # a header line that no other message has
    stored: bytes

    @property
    def wire(self) -> bytes:
        """The octets that RETR must send after its status line, terminator included."""
        return encode_message(self.stored)[0]

    @property
    def octets(self) -> int:
        """The size that LIST must say."""
        return encode_message(self.stored)[1]


def new_run_id() -> str:
    """Return an id that no other run has."""
    return secrets.token_hex(8)


def build_sample(run_id: str, name: str) -> SampleMessage:
    """Return one of the odd messages, as a file with LF at its line ends would hold it."""
    mark = f"{MARK}: {name}-{run_id}"
    head = (
        f"From: verify@example.com\nTo: you@example.com\nSubject: pop3 verify: {name}\n{mark}\n"
    ).encode()
    return SampleMessage(name, mark, _SAMPLES[name](head))


def all_samples(run_id: str) -> Iterator[SampleMessage]:
    """Yield a sample of each kind; the twin comes twice."""
    for name in (*_SAMPLES, "twin"):
        yield build_sample(run_id, name)


def _with_border(head: bytes) -> bytes:
    """Return a message with a dot at the start of a line at each border of what is sent."""
    text = head + b"\n"
    size = len(text.replace(b"\n", b"\r\n"))
    for _ in range(3):
        room = BORDER - size % BORDER
        lines = b"y" * ((room - 2) % 70)
        while len(lines.replace(b"\n", b"\r\n")) + 72 <= room - 2:
            lines += b"\n" + b"y" * 70
        text += lines + b"\n" + b".a dot at a border\n"
        size = len(text.replace(b"\n", b"\r\n"))
    return text


_SAMPLES: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda head: head + b"\nTwo lines.\nNo more.\n",
    "dot-first": lambda head: b".X-Dot: the very first octet is a dot\n" + head + b"\nBody.\n",
    "no-last-line-end": lambda head: head + b"\nThe last line has no end",
    "dots": lambda head: head + b"\n.\n..\n.x\na.\n...\n.\n",
    "crlf": lambda head: (head + b"\nOne.\nTwo.\n.\n").replace(b"\n", b"\r\n"),
    "lone-cr": lambda head: head + b"\nA\rB\r.\rC\n.\n",
    "empty-body": lambda head: head + b"\n",
    "header-only": lambda head: head,
    "eight-bit": lambda head: head + b"\nGr\xfc\xdfe \xe2\x82\xac \x80\xff\n",
    "long-line": lambda head: head + b"\n" + b"x" * 70_000 + b"\n",
    "border": _with_border,
    "twin": lambda head: head + b"\nTwice the same.\n",
}
"""A function of each sample, by its name, that adds the body to a header."""
