"""One peer that brings mail, by LMTP (RFC 2033) or SMTP (RFC 5321); aiosmtpd knows the commands.

What is different here from aiosmtpd's own:
- DATA takes lines of any length, keeps within the memory that `MemoryBudget` gives, and answers
for each
  recipient, as RFC 2033 section 4.2 wants it, also when nothing is delivered
- replies carry the codes of RFC 2034 and none of the peer's octets as they came; an exception goes
  to the log, and the peer hears a number (known-bug/exception-text)
- who shuts the sending side is still answered, and a delivery under way is carried to its end
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from collections import defaultdict
from typing import TYPE_CHECKING, cast

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP

from restante.delivery import trace_headers
from restante.delivery.data import read_message
from restante.delivery.handler import AiosmtpdHandler, DeliveryEnvelope
from restante.delivery.replies import DELIVERED, DeliveryReply
from restante.delivery.trace_headers import Envelope

if TYPE_CHECKING:
    from restante.delivery.sessions import DeliverySessions

logging.getLogger("mail.log").disabled = True  # aiosmtpd's: it would quote the peer on stderr

LONGEST_COMMAND = 2048  # octets
CHUNK = 64 * 1024  # octets of a line that are read at once

_PATH = re.compile(
    r"\s*<(?:@[^:<>\s]*:)?(?P<address>(?:\"(?:[^\"\\]|\\.)*\"|[^\"<>\s])*)>(?P<rest>(?:\s.*)?)",
    re.DOTALL,
)
_CODED = re.compile(r"\d{3}[ -](?:[245]\.\d{1,3}\.\d{1,3} |HELP)")
_STATUS = {
    "221": "2.0.0", "250": "2.0.0", "252": "2.5.0", "451": "4.3.0", "454": "4.7.0", "500": "5.5.2",
    "501": "5.5.4", "502": "5.5.1", "503": "5.5.1", "504": "5.5.4", "530": "5.7.0",
    "538": "5.7.11", "552": "5.3.4", "553": "5.1.3", "555": "5.5.4",
}  # fmt: skip


class SmtpConnection(SMTP):
    """A connection by SMTP."""

    way = "smtp"
    line_length_limit = CHUNK  # aiosmtpd's name for how much its reader holds

    def __init__(self, desk: DeliverySessions) -> None:
        self.command_size_limits = defaultdict(lambda: LONGEST_COMMAND)  # the class shares its own
        self._desk = desk
        self._ended = False
        self.delivering = False
        self._reading = False  # a message, whose every piece starts the clock
        super().__init__(
            AiosmtpdHandler(desk),
            hostname=desk.host,
            ident="Restante",
            data_size_limit=desk.message_size,
            enable_SMTPUTF8=True,
            loop=asyncio.get_running_loop(),
            timeout=desk.patience,
        )

    def _create_envelope(self) -> DeliveryEnvelope:
        return DeliveryEnvelope()

    async def _handle_client(self) -> None:
        with contextlib.suppress(ConnectionError):  # there is nobody left to tell
            await super()._handle_client()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        super().connection_made(transport)
        self._desk.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the peer; a delivery under way goes on."""
        super().connection_lost(error)
        self._desk.remove(self)

    def data_received(self, data: bytes) -> None:
        """Take octets: a long message may take its time, as long as it goes on."""
        super().data_received(data)
        if self._reading:
            self._reset_timeout()

    def eof_received(self) -> bool:
        """Let what came whole be carried out and answered."""
        self._reader.feed_eof()
        return True

    async def push(self, status: str | bytes) -> None:
        """Send a line of a reply, with its status and without anything odd."""
        if self.transport is None:
            return
        line = status.decode() if isinstance(status, bytes) else status
        code = line[:3]
        if line[3:4] == " " and not _CODED.match(line) and code in _STATUS:
            line = f"{code} {_STATUS[code]} {line[4:]}"
        line = "".join(c if c.isascii() and c.isprintable() else "?" for c in line)
        await super().push(line[:510])

    def say_goodbye(self, reply: str = "421 4.3.2 the server is stopping, come back later") -> None:
        """End the connection now, or as soon as its delivery is done and answered."""
        self._ended = True
        if self.delivering or self.transport is None:
            return
        transport = cast("asyncio.Transport", self.transport)
        if transport.get_write_buffer_size():
            transport.abort()  # a peer that reads nothing would keep us waiting
        else:
            transport.write(reply.encode() + b"\r\n")
            transport.close()

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """Read a path of RFC 5321 section 4.1.2; email's parser, which aiosmtpd asks, may raise."""
        path = _PATH.fullmatch(arg)
        return (path["address"] or "<>", path["rest"]) if path else (None, None)

    def abort(self) -> None:
        """End the connection at once."""
        if self.transport is not None:
            cast("asyncio.Transport", self.transport).abort()

    def _timeout_cb(self) -> None:
        if self.delivering:
            self._reset_timeout()
        else:
            self.say_goodbye("421 4.4.2 nothing came for too long")

    async def handle_exception(self, error: Exception) -> str:
        """Return what the peer hears of a fault of ours, which goes to the log."""
        if isinstance(error, asyncio.IncompleteReadError):  # the peer has no more to say
            self._hang_up()
            return ""
        incident = secrets.token_hex(4)
        self._desk.office.log.error("incident", incident=incident, via=self.way, exc_info=error)
        return f"451 4.3.0 something went wrong (incident {incident})"

    def _hang_up(self) -> None:
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self._writer.close()
        self.transport = None  # ends aiosmtpd's loop

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        """Take a message and put it into each recipient's maildrop."""
        letter = cast("DeliveryEnvelope", self.envelope)
        if await self.check_helo_needed():
            return
        if not letter.owners or arg:
            await self.push("501 Syntax: DATA" if arg else "503 Error: need RCPT command")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        self._reading = True
        try:
            message = await read_message(self._reader, self._desk.room, self._desk.message_size)
        finally:
            self._reading = False
        self.envelope = self._create_envelope()
        if self._ended:  # the peer was told goodbye meanwhile, and will bring it again
            self._desk.room.give_back(0 if isinstance(message, DeliveryReply) else len(message))
            self._hang_up()
        elif isinstance(message, DeliveryReply):
            self._desk.log_rejected(letter.sender, letter.rcpt_tos, message)
            await self.answer([message] * len(letter.owners))
        else:
            await self._put(letter, message)

    async def _put(self, letter: DeliveryEnvelope, message: bytes) -> None:
        """Deliver a message, which goes on when the peer hangs up, and say what became of it."""
        self.delivering = True
        work = self._desk.spawn(self._deliver(letter, message))
        await self.answer(await asyncio.shield(work))
        self.delivering = False
        if self._ended:
            self.say_goodbye()

    async def answer(self, outcomes: list[DeliveryReply]) -> None:
        """Say what became of a message: with one reply, which is good when all of it is good."""
        bad = [outcome for outcome in outcomes if outcome is not DELIVERED]
        await self.push(str(bad[0] if bad else DELIVERED))

    async def _deliver(self, letter: DeliveryEnvelope, message: bytes) -> list[DeliveryReply]:
        office = self._desk.office
        try:
            return await asyncio.gather(
                *(
                    office.deliver(owner, message, self._trace(letter.sender, recipient), self.way)
                    for recipient, owner in letter.owners
                )
            )
        finally:
            self._desk.room.give_back(len(message))

    def _trace(self, sender: str, recipient: str) -> Envelope:
        assert self.session is not None
        received = b""
        if self._desk.received or self.way == "smtp":  # RFC 5321 section 4.4
            peer = self.session.peer
            way = "esmtp" if self.session.extended_smtp and self.way == "smtp" else self.way
            received = trace_headers.received(
                self.session.host_name or "", peer[0] if peer else "", self._desk.host, way
            )
        return Envelope(sender, recipient, received)


class LmtpConnection(SmtpConnection, LMTP):
    """A connection by LMTP."""

    way = "lmtp"

    async def check_helo_needed(self, helo: str = "LHLO") -> bool:
        """Tell the peer how to begin, where it has not."""
        return await super().check_helo_needed(helo)

    async def answer(self, outcomes: list[DeliveryReply]) -> None:
        """Say what became of a message, for each recipient. RFC 2033 section 4.2."""
        for outcome in outcomes:
            await self.push(str(outcome))
