"""Sessions of LMTP and SMTP in memory: the core, driven without sockets, files and clocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from restante.delivery.protocol.message import MemoryBudget, MessageReceiver
from restante.delivery.protocol.needs import (
    DeliverMessage,
    ReadCommand,
    ReceiveMessage,
    ResolveRecipient,
)
from restante.delivery.protocol.serve import serve
from restante.delivery.protocol.session import DeliverySession, Dialect
from restante.delivery.replies import BAD_ADDRESS, DELIVERED, UNKNOWN, DeliveryReply
from restante.protocol.errors import LineTooLong
from restante.protocol.lines import LineBuffer

OWNERS = {"ann@example.com", "bob@example.com", "carl@example.com"}


class Talk:
    """One session, whose driver does at once what it asks for."""

    def __init__(self, dialect: Dialect = Dialect.LMTP, message_size: int = 100_000) -> None:
        self.session = DeliverySession(dialect=dialect, host="mx", message_size=message_size)
        self.budget = MemoryBudget(4 * message_size)
        self.delivered: list[tuple[str, bytes]] = []
        self.outcomes: dict[str, DeliveryReply] = {}  # by owner, where it is not DELIVERED
        self.over = False
        self._conversation = serve(self.session)
        self._lines = LineBuffer()
        self._need: Any = None
        self._receiver: MessageReceiver | None = None
        self._said = bytearray()
        self._advance(None)

    def send(self, octets: bytes = b"") -> bytes:
        """Send octets, and return what the server says to them."""
        if self._receiver is not None:
            self._receive(octets)
        else:
            self._lines.feed(octets)
            if not self.over:
                self._advance(self._meet(self._need))
        said = bytes(self._said)
        self._said.clear()
        return said

    def hang_up(self) -> None:
        """Close the connection."""
        self._conversation.close()
        if self._receiver is not None:
            self._receiver.release()

    def _advance(self, answer: object) -> None:
        while answer is not ...:
            try:
                if isinstance(answer, LineTooLong):
                    step = self._conversation.throw(answer)
                else:
                    step = self._conversation.send(answer)
            except StopIteration:
                self.over = True
                return
            if isinstance(step, bytes):
                self._said += step
                answer = None
            else:
                answer = self._meet(step)

    def _meet(self, need: Any) -> object:
        """Return what the session needs; or ..., to wait for the client."""
        self._need = need
        match need:
            case ReadCommand():
                line = self._lines.take(need.limit)
                return ... if line is None else line
            case ResolveRecipient() if not need.address.isprintable():
                return BAD_ADDRESS
            case ResolveRecipient():
                local, _, domain = need.address.lower().partition("@")
                name = f"{local.partition('+')[0]}@{domain}"
                return name if name in OWNERS else UNKNOWN
            case DeliverMessage():
                return self._deliver(need.message)
        assert isinstance(need, ReceiveMessage)
        self._receiver = MessageReceiver(self.budget, self.session.message_size)
        octets = self._lines.take_all()
        self._receive(octets)
        return ...

    def _receive(self, octets: bytes) -> None:
        assert self._receiver is not None
        self._receiver.feed(octets)
        if self._receiver.ended:
            receiver, self._receiver = self._receiver, None
            result = receiver.result
            receiver.release()
            self._lines.feed(receiver.rest)
            self._advance(result)

    def _deliver(self, message: bytes) -> Sequence[DeliveryReply]:
        owners = [owner for _, owner in self.session.transaction.recipients]
        outcomes = [self.outcomes.get(owner, DELIVERED) for owner in owners]
        self.delivered += [
            (owner, message)
            for owner, outcome in zip(owners, outcomes, strict=True)
            if outcome is DELIVERED
        ]
        return outcomes
