"""What a peer's commands say of a message, and what aiosmtpd asks about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP, Envelope, Session

from restante.delivery.replies import BAD_ADDRESS, UNKNOWN, DeliveryReply

if TYPE_CHECKING:
    from restante.delivery.sessions import DeliverySessions

MOST_RECIPIENTS = 1000  # of one message; RFC 5321 section 4.5.3.1.8 wants at least 100


class DeliveryEnvelope(Envelope):
    """What one message's commands said so far: for each recipient, the owner of the maildrop."""

    def __init__(self) -> None:
        super().__init__()
        self.owners: list[tuple[str, str]] = []  # recipient and owner

    @property
    def sender(self) -> str:
        """The sender's address, empty for nobody."""
        return (self.mail_from or "").removeprefix("<").removesuffix(">")


class AiosmtpdHandler:
    """What aiosmtpd asks about commands, for all connections."""

    def __init__(self, desk: DeliverySessions) -> None:
        self._desk = desk

    async def handle_EHLO(  # noqa: N802  # aiosmtpd's name
        self,
        _server: SMTP,
        session: Session,
        _letter: DeliveryEnvelope,
        host: str,
        lines: list[str],
    ) -> list[str]:
        """Return what to announce. RFC 2033 section 5 wants these two."""
        session.host_name = host
        return [*lines[:-1], "250-PIPELINING", "250-ENHANCEDSTATUSCODES", lines[-1]]

    async def handle_MAIL(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        letter: DeliveryEnvelope,
        sender: str,
        options: list[str],
    ) -> str:
        """Take a sender, who may be nobody: "<>"."""
        if not sender.isprintable():
            return str(BAD_ADDRESS)
        letter.mail_from = sender
        letter.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        letter: DeliveryEnvelope,
        recipient: str,
        _options: list[str],
    ) -> str:
        """Take a recipient who has a maildrop."""
        if len(letter.owners) >= MOST_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        owner = await self._desk.office.resolve(recipient)
        if isinstance(owner, DeliveryReply):
            self._desk.log_rejected(letter.sender, [recipient], owner)
            return f"{owner}{self._desk.unknown_hint}" if owner is UNKNOWN else str(owner)
        letter.owners.append((recipient, owner))
        letter.rcpt_tos.append(recipient)
        return "250 2.1.5 OK"
