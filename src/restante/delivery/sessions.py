"""The parts that a process's connections share: settings, memory, and the way to the store."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from restante.delivery import trace_headers
from restante.delivery.protocol.message import MemoryBudget
from restante.delivery.protocol.session import Dialect
from restante.delivery.replies import DeliveryReply, incident_reply
from restante.delivery.trace_headers import Envelope
from restante.server.registry import ConnectionRegistry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.delivery.deliverer import Deliverer
    from restante.delivery.protocol.session import DeliverySession
    from restante.server.config.mail_sections import DeliverySection
    from restante.server.registry import LiveConnection

MESSAGES = 4  # of the greatest size that may be in memory at once


@dataclass(frozen=True, kw_only=True, eq=False)
class DeliverySessions:
    """Meets the needs of all sessions that are not the socket's."""

    deliverer: Deliverer
    settings: DeliverySection
    host: str  # this machine's name
    patience: float  # seconds for a client's next command, or the next part of a message
    unknown_hint: str = ""  # follows the reply about an unknown recipient
    connections: ConnectionRegistry[LiveConnection] = field(default_factory=ConnectionRegistry)

    @cached_property
    def memory(self) -> MemoryBudget:
        """The memory of all messages under way."""
        return MemoryBudget(MESSAGES * self.settings.message_size)

    async def resolve(self, address: str, session: DeliverySession) -> str | DeliveryReply:
        """Return the owner of an address's maildrop, or the reply that rejects it."""
        owner = await self.deliverer.resolve(address, session.session_id)
        if isinstance(owner, DeliveryReply):
            self._log_rejected(session, address, owner)
        return owner

    async def deliver(
        self, message: bytes, session: DeliverySession, peer: str
    ) -> Sequence[DeliveryReply]:
        """Deliver a message to each recipient, and return what became of it, in their order.

        A recipient that was named twice gets it once. Another address of the same mailbox gets its
        own copy, which names that address.
        """
        recipients = session.transaction.recipients
        different = list(dict.fromkeys(recipients))
        sender = session.transaction.sender or ""
        received = self._received_field(session, peer)
        via, session_id = session.dialect.name.lower(), session.session_id
        outcomes = await asyncio.gather(
            *(
                self.deliverer.deliver(
                    owner, message, Envelope(sender, address, received), via, session_id
                )
                for address, owner in different
            )
        )
        by_recipient = dict(zip(different, outcomes, strict=True))
        return [by_recipient[each] for each in recipients]

    def log_rejected(self, session: DeliverySession, reply: DeliveryReply) -> None:
        """Log for each recipient that its message was rejected."""
        for address, _ in session.transaction.recipients:
            self._log_rejected(session, address, reply)

    def log_incident(self, error: BaseException, session: DeliverySession) -> DeliveryReply:
        """Log an error of ours under a number, and return the reply, which has only the number."""
        incident = secrets.token_hex(4)
        via = session.dialect.name.lower()
        self.deliverer.log.error(
            "incident", incident=incident, via=via, session=session.session_id, exc_info=error
        )
        return incident_reply(incident)

    def _log_rejected(self, session: DeliverySession, address: str, reply: DeliveryReply) -> None:
        self.deliverer.log.info(
            "not_taken",
            sender=session.transaction.sender or "",
            recipient=address,
            reply=str(reply),
            session=session.session_id,
        )

    def _received_field(self, session: DeliverySession, peer: str) -> bytes:
        """Return a Received field, which SMTP requires: RFC 5321 section 4.4."""
        if session.dialect is Dialect.LMTP and not self.settings.received:
            return b""
        extended = session.extended and session.dialect is Dialect.SMTP
        protocol = "esmtp" if extended else session.dialect.name
        return trace_headers.received_field(session.client, peer, self.host, protocol)
