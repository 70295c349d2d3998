"""A message as it comes after DATA: RFC 5321 section 4.5.2, without a limit to the line."""

from __future__ import annotations

from dataclasses import dataclass

from restante.delivery.replies import NO_ROOM, TOO_BIG, DeliveryReply
from restante.protocol.line_forms import to_unix
from restante.protocol.unstuffing import DotUnstuffer


@dataclass(slots=True)
class MemoryBudget:
    """How much mail may be in memory at once, in octets."""

    left: int

    def acquire(self, octets: int) -> bool:
        """Reserve octets, or return False if fewer are left."""
        if octets > self.left:
            return False
        self.left -= octets
        return True

    def release(self, octets: int) -> None:
        """Return octets to the budget."""
        self.left += octets


class MessageReceiver:
    """Receives a message in chunks, and keeps it as Unix programs store it: LF ends a line.

    Feed it until `ended`; then `result` is the message or the reply that rejects it, and `rest`
    the octets after it. A rejected message is read to its end, and not kept. A kept one uses
    its size of the budget until `release`.

    A CR before CR LF stays with it, so that POP3 gives back the same octets: a stored CR LF is a
    line end like a stored LF. A lone CR or LF is kept as it is, and ends nothing: else a message
    could smuggle another one in after it.
    """

    def __init__(self, budget: MemoryBudget, limit: int) -> None:
        self._unstuffer = DotUnstuffer(strict=True)
        self._budget = budget
        self._limit = limit  # octets of the message, line ends as CR LF: RFC 1870 section 3
        self._message = bytearray()  # a client may send single octets, too small for a list
        self._after_cr = False  # the last piece ended with one
        self._problem: DeliveryReply | None = None

    @property
    def ended(self) -> bool:
        """Whether the line with the dot has come."""
        return self._unstuffer.ended

    @property
    def rest(self) -> bytes:
        """The octets after that line."""
        return self._unstuffer.rest

    @property
    def result(self) -> bytes | DeliveryReply:
        """The message, or why it is rejected."""
        return self._problem or bytes(self._message)

    def feed(self, octets: bytes) -> None:
        """Take the next octets."""
        piece = self._with_lf(self._unstuffer.feed(octets))
        if self._problem is None and self._unstuffer.octets > self._limit:
            self._reject(TOO_BIG)
        elif self._problem is None and not self._budget.acquire(len(piece)):
            self._reject(NO_ROOM)
        if self._problem is None:
            self._message += piece

    def release(self) -> None:
        """Return the message's share of the budget. Repeated calls are allowed."""
        self._budget.release(len(self._message))
        self._message.clear()

    def _reject(self, reply: DeliveryReply) -> None:
        self._problem = reply
        self.release()

    def _with_lf(self, piece: bytes) -> bytes:
        """Return a piece, which never ends within CR LF, with LF for CR LF."""
        leading_end = b""
        if self._after_cr and piece.startswith(b"\r\n"):
            leading_end, piece = b"\r\n", piece[2:]
        if leading_end or piece:
            self._after_cr = piece.endswith(b"\r")
        return leading_end + to_unix(piece)[0]
