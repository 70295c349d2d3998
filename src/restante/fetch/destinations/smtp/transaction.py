"""One message from MAIL to the replies after its final dot. RFC 5321 section 3.3, RFC 2033.

Before the final dot all or nothing counts: where the server rejects a recipient there, none gets
the message, so that a later try is a double for none.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.fetch.destinations.smtp.session import Reply, reason
from restante.fetch.interfaces import (
    TRACE_FIELD,
    DeliveryInDoubtError,
    DestinationError,
    DestinationUnavailableError,
    MessageRefusedError,
)
from restante.fetch.spool import CHUNK
from restante.protocol.stuffing import DotStuffer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.fetch.destinations.smtp.address import SmtpAddress
    from restante.fetch.destinations.smtp.session import SmtpDeadlines, SmtpSession
    from restante.fetch.spool import SpooledDraft


_SIZE = re.compile("[0-9]{1,18}")  # octets by RFC 1870; more digits do not limit
_SHUTTING_DOWN = 421
_AUTHENTICATION = (530, 534, 535, 538)  # RFC 4954 section 6: not about the message
_MAILBOX_FULL = "5.2.2 "  # RFC 3463 section 3.3: some servers say 552 for what passes


class SessionLostError(DestinationUnavailableError):
    """The session ended before the final dot, so the message was not delivered."""

    def __init__(self, text: str) -> None:
        super().__init__(text, general=True)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message with its envelope, and the field that makes a double recognizable.

    Attributes:
        recipients: those that it is sent to now, at least one.
    """

    draft: SpooledDraft
    sender: str
    recipients: Sequence[str]

    @property
    def trace(self) -> bytes:
        """The added field, for Sieve's `duplicate`: RFC 7352."""
        return f"{TRACE_FIELD}: {self.draft.delivery_id}\r\n".encode()

    @property
    def octets(self) -> int:
        """The size for SIZE: RFC 1870 section 5, without dot-stuffing."""
        return self.draft.octets + len(self.trace)


def judge(reply: Reply, what: str) -> DestinationError | None:
    """Return the error that a reply means, None for success. `what` begins its text."""
    if 200 <= reply.code < 300:
        return None
    text = f"{what}{reply}"
    for_good = 500 <= reply.code < 600 and reply.code not in _AUTHENTICATION
    if for_good and not reply.text.startswith(_MAILBOX_FULL):
        return MessageRefusedError(text)
    return DestinationUnavailableError(text)


class SmtpTransaction:
    """One message in a session. Its methods raise DestinationError."""

    def __init__(
        self, session: SmtpSession, address: SmtpAddress, deadlines: SmtpDeadlines
    ) -> None:
        self._session = session
        self._address = address
        self._deadlines = deadlines
        self._ends = 0.0

    def begin(self, letter: Letter) -> None:
        """Say MAIL. Raises SessionLostError, also where the session ended long ago."""
        seconds = self._deadlines.commands + letter.octets / self._deadlines.slowest
        self._ends = time.monotonic() + seconds
        self._check_size(letter)
        sender, parameters = self._envelope(letter)
        self._command(f"MAIL FROM:<{sender}>{parameters}", f"rejected the sender <{sender}>")

    def send(self, letter: Letter) -> dict[str, DestinationError | None]:
        """Send the message, and return for each recipient why the server rejected it, or None.

        DeliveryInDoubtError is the reason for those whose reply did not come.
        """
        for recipient in letter.recipients:
            self._command(f"RCPT TO:<{recipient}>", f"rejected the recipient {recipient}")
        self._command("DATA", "rejected the message", "354")
        self._require_silence("the message")
        self._send_message(letter)
        self._session.ends = time.monotonic() + self._deadlines.final
        if self._address.lmtp:
            refusals = {
                each: self._final_reply(f"rejected the message to {each}")
                for each in letter.recipients
            }
        else:
            refusals = dict.fromkeys(letter.recipients, self._final_reply("rejected the message"))
        if self._session.has_unread():
            doubt = self._find_contradiction()
            self._session.abandon()
            return {each: refusal or doubt for each, refusal in refusals.items()}
        return refusals

    def _check_size(self, letter: Letter) -> None:
        largest = self._session.esmtp_features.get("size", "")
        if _SIZE.fullmatch(largest) and 0 < int(largest) < letter.octets:
            raise MessageRefusedError(
                f"the message has {letter.octets} octets, and {self._address} accepts at most "
                f"{largest}; raise its limit"
            )

    def _envelope(self, letter: Letter) -> tuple[str, str]:
        """Return the sender, and what follows it: RFC 1870, RFC 6152, RFC 6531."""
        session = self._session
        utf8 = session.has_extn("smtputf8")
        if not utf8 and not all(address.isascii() for address in letter.recipients):
            raise MessageRefusedError(
                f"{self._address} has no SMTPUTF8, which {', '.join(letter.recipients)} requires"
            )
        sender = letter.sender if utf8 or letter.sender.isascii() else ""
        parameters = f" SIZE={letter.octets}" if session.has_extn("size") else ""
        if session.has_extn("8bitmime") and not letter.draft.ascii:
            parameters += " BODY=8BITMIME"
        session.command_encoding = "ascii"
        if not all(address.isascii() for address in (sender, *letter.recipients)):
            session.command_encoding = "utf-8"
            parameters += " SMTPUTF8"
        return sender, parameters

    def _command(self, line: str, refusal: str, expected: str = "2") -> None:
        """Say a command. Raises SessionLostError or, after RSET, the error that its reply means."""
        session = self._session
        session.ends = min(self._ends, time.monotonic() + self._deadlines.reply)
        verb = line.partition(" ")[0]
        self._require_silence(verb)
        try:
            reply = Reply.from_smtplib(session.docmd(line))
        except OSError as error:
            session.abandon()
            raise SessionLostError(f"{self._address}: {reason(error)}") from error
        if str(reply.code).startswith(expected):
            return
        if reply.code == _SHUTTING_DOWN:
            session.abandon()
            raise SessionLostError(f"{self._address} ends the session: {reply}")
        judged = self._judge(reply, refusal)  # before the connection may end
        self._leave(reply)
        raise judged or DestinationUnavailableError(
            f"{self._address}: the reply {reply} to {verb} is not expected"
        )

    def _leave(self, refusal: Reply) -> None:
        """Leave the session as it was before MAIL; end it where its state is not certain."""
        with contextlib.suppress(OSError):
            if refusal.code >= 400 and self._session.rset()[0] == 250:
                return
        self._session.abandon()

    def _require_silence(self, what: str) -> None:
        """Check that no reply came before what it could be the reply to. Raises SessionLostError.

        Replies have no names: one too many would be taken for the reply to the message.
        """
        if self._session.has_unread():
            self._session.abandon()
            raise SessionLostError(f"{self._address} sent a reply before {what}")

    def _send_message(self, letter: Letter) -> None:
        """Send the message and the final dot. Raises DestinationError: it was not delivered.

        That is certain, since the system did not accept the last octet.
        """
        self._session.ends = self._ends
        stuffer = DotStuffer()
        waiting = stuffer.feed(letter.trace)
        try:
            for chunk in letter.draft.chunks():
                waiting += stuffer.feed(chunk)
                if len(waiting) >= CHUNK:
                    self._session.send(waiting)
                    waiting = b""
            self._send_end(waiting + stuffer.finish())
        except OSError as error:
            refusal = self._find_early_refusal()
            self._session.abandon()
            raise refusal or SessionLostError(f"{self._address}: {reason(error)}") from error
        except BaseException:
            self._session.abandon()
            raise

    def _send_end(self, octets: bytes) -> None:
        """Send the last octets of a message. Raises OSError, also if a reply came before them.

        It is raised, too, if the server has closed the connection.
        """
        if self._session.has_unread():
            raise smtplib.SMTPServerDisconnected("it replied before the end of the message")
        if self._session.has_ended:
            raise smtplib.SMTPServerDisconnected("it closed the connection within the message")
        self._session.send(octets)

    def _find_early_refusal(self) -> DestinationError | None:
        """Return what a server said in the middle of a message, None if that is not a refusal."""
        reply = self._read_reply_that_is_there()
        return self._judge(reply, "rejected the message") if reply else None

    def _find_contradiction(self) -> DestinationError | None:
        """Return the doubt that is left by a refusal after the replies to a message."""
        reply = self._read_reply_that_is_there()
        if reply is None or reply.code < 400 or reply.code == _SHUTTING_DOWN:
            return None
        return self._doubt(f"said {reply} after its reply to the message")

    def _read_reply_that_is_there(self) -> Reply | None:
        self._session.ends = time.monotonic() + self._deadlines.quit
        try:
            return Reply.from_smtplib(self._session.getreply())
        except OSError:
            return None

    def _doubt(self, what: str) -> DeliveryInDoubtError:
        return DeliveryInDoubtError(f"{self._address} {what}, which it may have delivered")

    def _final_reply(self, refusal: str) -> DestinationError | None:
        try:
            reply = Reply.from_smtplib(self._session.getreply())
        except OSError as error:
            self._session.abandon()
            return DeliveryInDoubtError(
                f"{self._address} did not reply to the message, which it may have delivered: "
                f"{reason(error)}"
            )
        if 300 <= reply.code < 400:
            self._session.abandon()
            return self._doubt(f"said {reply} to the message")
        judged = self._judge(reply, refusal)
        if reply.code == _SHUTTING_DOWN:
            self._session.abandon()
        return judged

    def _judge(self, reply: Reply, what: str) -> DestinationError | None:
        """Return the error that a reply means. A missing TLS is not the message's fault."""
        hint = self._session.tls_hint(reply)
        if hint:
            return DestinationUnavailableError(f"{self._address} {what}: {reply}{hint}")
        return judge(reply, f"{self._address} {what}: ")
