"""All that a session of delivery may ask of its driver. See `restante.protocol.server.needs`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from restante.delivery.replies import DeliveryReply
from restante.protocol.server.needs import Need


@dataclass(frozen=True, slots=True)
class ReadCommand(Need[bytes]):
    """The next line, with its line end.

    Throws LineTooLong when it has more than `limit` octets, line end included.
    """

    limit: int


@dataclass(frozen=True, slots=True)
class ResolveRecipient(Need[str | DeliveryReply]):
    """The owner of the maildrop of an address, or the reply that rejects it."""

    address: str


@dataclass(frozen=True, slots=True)
class ReceiveMessage(Need[bytes | DeliveryReply]):
    """The message that the client sends now, as it is to be stored, or the reply that rejects it.

    Either way the driver has read it to its end.
    """


@dataclass(frozen=True, slots=True)
class DeliverMessage(Need[Sequence[DeliveryReply]]):
    """The delivery of this transaction's message: a reply for each recipient, in order.

    DELIVERED says that it is durable in the recipient's maildrop.
    """

    message: bytes


Conversation: TypeAlias = Generator[bytes | Need[Any], Any, None]
"""A session under way: it yields octets to send, and needs."""

Reply: TypeAlias = str | tuple[str, ...]
"""The lines of a reply, without their line ends."""

Command: TypeAlias = Generator[bytes | Need[Any], Any, Reply]
"""A command under way, which asks for something before it can answer."""
