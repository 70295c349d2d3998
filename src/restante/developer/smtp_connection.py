"""One client that brings mail to developer mode: any address, any login, TLS, and a record."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from restante.delivery import replies, trace_headers
from restante.delivery.connection import DeliveryConnection
from restante.delivery.protocol.needs import DeliverMessage
from restante.delivery.protocol.serve import serve_verbs
from restante.delivery.protocol.session import Dialect
from restante.delivery.trace_headers import Envelope
from restante.developer.smtp_recorder import record_smtp
from restante.developer.smtp_verbs import DEVELOPER_VERBS, DeveloperSmtpSession
from restante.misbehave.connection import AT_RESET
from restante.misbehave.effects import HangUp, Pause
from restante.misbehave.smtp.conversation import StartSmtpTls
from restante.net.addresses import format_host_port
from restante.protocol.server.needs import SendPart
from restante.storage.errors import FullError
from restante.system_errors import find_reason

if TYPE_CHECKING:
    from restante.delivery.protocol.needs import Conversation
    from restante.delivery.protocol.session import DeliverySession
    from restante.delivery.replies import DeliveryReply
    from restante.delivery.sessions import DeliverySessions
    from restante.developer.faults import FaultSwitch
    from restante.developer.mailboxes import Mailboxes
    from restante.developer.sessions import SessionRecord, SessionTable
    from restante.protocol.server.needs import Need
    from restante.server.tls.certificates import Certificates

HANDSHAKE_TIMEOUT = 60.0  # seconds


@dataclass(frozen=True, kw_only=True, eq=False)
class SmtpSharing:
    """The parts that all connections share."""

    deliveries: DeliverySessions
    mailboxes: Mailboxes
    sessions: SessionTable
    faults: FaultSwitch
    certificates: Certificates | None = None
    implicit_tls: bool = False  # the transport does TLS from the first octet


class DeveloperSmtpConnection(DeliveryConnection):
    """A client that sends mail."""

    _session: DeveloperSmtpSession

    def __init__(self, sharing: SmtpSharing) -> None:
        self._sharing = sharing
        self._record: SessionRecord | None = None
        super().__init__(sharing.deliveries, Dialect.SMTP)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a record, and greet the client."""
        peer = transport.get_extra_info("peername") or ("", 0)
        self._record = self._sharing.sessions.open("SMTP", format_host_port(*peer[:2]))
        super().connection_made(transport)

    def eof_received(self) -> bool:
        """Close; TLS has no half of a connection that could stay open.

        The end of TLS may come with its handshake, before the task that awaits this goes on.
        """
        begins_tls = self._work is not None and isinstance(self._work.need, StartSmtpTls)
        return super().eof_received() and not (begins_tls or self._is_tls())

    def connection_lost(self, exc: Exception | None) -> None:
        """End the record, and forget the client."""
        assert self._record is not None
        self._record.end("disconnected")
        super().connection_lost(exc)

    async def fulfil(self, need: Need[Any]) -> object:
        """Return what the session needs."""
        match need:
            case StartSmtpTls():
                await self._start_tls()
            case DeliverMessage(message):
                return self._deliver(message)
            case SendPart(octets):
                self._output.append(octets)
                self._flush()
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case HangUp():
                self._break_off(reset=need.reset)
            case _:
                return await super().fulfil(need)
        return None

    def serve(self, delivery: DeliverySession) -> Conversation:
        """Return the conversation of developer mode, with a record of it."""
        sharing = self._sharing
        self._session = session = DeveloperSmtpSession(
            dialect=delivery.dialect,
            host=delivery.host,
            message_size=delivery.message_size,
            tls=sharing.implicit_tls,
            can_start_tls=sharing.certificates is not None,
        )
        conversation = serve_verbs(session, DEVELOPER_VERBS)
        altered = sharing.faults.alter_smtp(conversation, session, self._note_fault)
        return record_smtp(altered, session, self._get_record)

    def _note_fault(self, text: str) -> None:
        self._get_record().note(fault=text)

    def _get_record(self) -> SessionRecord:
        assert self._record is not None
        return self._record

    def _start_work(self, need: Need[Any]) -> None:
        """Read nothing more in clear text, once TLS is to begin."""
        if isinstance(need, StartSmtpTls):
            self._set_reading(on=False)
            self._lines.take_all()
        super()._start_work(need)

    async def _start_tls(self) -> None:
        certificates = self._sharing.certificates
        assert certificates is not None
        failure: OSError | None = None
        transport: asyncio.Transport | None = None
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                certificates.context(),
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
            )
        except OSError as error:
            failure = error
            self._get_record().add("-", f"no TLS: {find_reason(error)}")
        if transport is None:  # without a failure, too, if the server has hung up
            self._work = None  # it is this task, which is not to be cancelled
            self.connection_lost(failure)
            return
        self._transport = transport
        self._reading = True

    def _break_off(self, *, reset: bool) -> None:
        """Hang up in the middle, as a fault says."""
        opened = self._transport.get_extra_info("socket")
        if reset and opened is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_RESET)
            self.abort()
        else:
            self._close()

    def _close(self, *, linger: bool = False) -> None:
        """Close; TLS has no half of a connection that could stay open."""
        super()._close(linger=linger and not self._is_tls())

    def _is_tls(self) -> bool:
        return self._transport.get_extra_info("ssl_object") is not None

    def _deliver(self, message: bytes) -> list[DeliveryReply]:
        """Store a message for each recipient, and return a reply for each."""
        session, outcomes = self._session, []
        sender = session.transaction.sender or ""
        protocol = f"esmtp{'s' * session.tls}{'a' * bool(session.login)}"
        received = trace_headers.received_field(
            session.client, self._address, session.host, protocol if session.extended else "smtp"
        )
        for address, owner in session.transaction.recipients:
            outcome = replies.DELIVERED
            try:
                whole = trace_headers.add_trace_headers(
                    message, Envelope(sender, address, received)
                )
                self._sharing.mailboxes.add(
                    owner, whole, sender=sender, session=self._get_record().number
                )
            except trace_headers.LoopError:
                outcome = replies.LOOP
            except FullError:
                outcome = replies.FULL
            except OSError as error:  # of the folder that keeps mail
                outcome = cannot_keep(error)
            outcomes.append(outcome)
        return outcomes


def cannot_keep(error: OSError) -> DeliveryReply:
    """Return the reply to a message that a folder cannot keep."""
    text = f"the message cannot be kept: {error.strerror}"
    return replies.DeliveryReply(451, "4.3.0", text, replies.EX_TEMPFAIL)
