"""The faults of SMTP with a name, by the stage of a session."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from restante.misbehave.changes import each_part, first_session, foreign
from restante.misbehave.conversation import alter
from restante.misbehave.rules import on
from restante.misbehave.smtp.fault import (
    EITHER,
    NO_PASSWORD,
    REPORTS,
    RETRIES,
    SENDS,
    TWICE,
    SmtpFault,
)
from restante.misbehave.smtp.rules import lines_of, parse_rules, say, with_line, with_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from restante.misbehave.conversation import Alteration, Conversation, ReplyParts

SMALL = 1000  # octets of a message that smtp-size-1000 accepts
TOO_BIG = b"552 5.3.4 Error: message size exceeds fixed maximum message size"

_SIZE = re.compile(r"\bSIZE=(\d+)", re.IGNORECASE)


def row(
    name: str, sentence: str, good_client: str, does: str | Alteration, seen: str = ""
) -> SmtpFault:
    """Return a fault. `does` is its rules, or its function."""
    return SmtpFault(
        name=name,
        sentence=sentence,
        good_client=good_client,
        conversation=parse_rules(does) if isinstance(does, str) else does,
        seen=seen,
    )


def _lines(verb: str, change: Callable[[list[bytes]], list[bytes]]) -> Alteration:
    """Return a fault that changes the lines of a reply, given without code and end."""
    return on(verb, lambda reply: with_lines(reply, change(lines_of(reply))))


def _limit_size(conversation: Conversation) -> Conversation:
    """Announce a limit of `SMALL` octets, and keep it. RFC 1870."""

    def change(reply: ReplyParts) -> ReplyParts:
        command = reply.command
        if command.verb == "EHLO":
            return with_line(reply, b"SIZE %d" % SMALL)
        announced = _SIZE.search(command.argument) if command.verb == "MAIL" else None
        size = int(announced[1]) if announced else 0
        if command.verb == "MESSAGE":
            size = command.number or 0
        return say(reply, TOO_BIG) if size > SMALL else reply

    return alter(conversation, reply=change)


CONNECT = (
    row("smtp-closed", "hangs up before the greeting", RETRIES, "smtp greeting: close"),
    row("smtp-reset", "resets the connection before the greeting", RETRIES,
        "smtp greeting: reset"),
    row("smtp-silent", "accepts the connection, and says nothing", RETRIES,
        "smtp greeting: silence"),
    row("smtp-busy", "greets with 421: too many connections", RETRIES,
        "smtp greeting: 421 4.3.2 too many connections, try again later"),
    row("smtp-no-service", "greets with 554, and hangs up", REPORTS,
        "smtp greeting: close at 100%\nsmtp greeting: 554 5.7.1 no SMTP service here",
        "RFC 5321 section 3.1"),
    row("smtp-greeting-lines", "greets in three lines", SENDS,
        _lines("GREETING", lambda lines: [*lines, b"No spam, please.", b"Welcome."])),
    row("smtp-greeting-late", "greets after 150 ms", SENDS, "smtp greeting: wait 150ms"),
    row("smtp-greeting-pop3", "is a POP3 server", REPORTS,
        foreign(b"+OK POP3 server ready.", b"-ERR Unknown command.")),
)  # fmt: skip

GREETED = (
    row("smtp-ehlo-refused", "knows HELO only", EITHER, "EHLO: 502 5.5.1 EHLO not implemented"),
    row("smtp-ehlo-closed", "hangs up at EHLO", RETRIES, "EHLO: close"),
    row("smtp-ehlo-bare", "answers EHLO with one line, and announces nothing", EITHER,
        _lines("EHLO", lambda lines: lines[:1])),
    row("smtp-8bit-missing", "does not announce 8BITMIME", SENDS, "EHLO: without 8BITMIME"),
    row("smtp-pipelining-missing", "does not announce PIPELINING", SENDS,
        "EHLO: without PIPELINING"),
    row("smtp-starttls-missing", "does not offer STARTTLS", NO_PASSWORD,
        "EHLO: without STARTTLS\nSTARTTLS: 502 5.5.1 STARTTLS not implemented", "NO STARTTLS"),
    row("smtp-starttls-refused", "offers STARTTLS, and refuses it", NO_PASSWORD,
        "STARTTLS: 454 4.7.0 TLS not available due to temporary reason"),
    row("smtp-starttls-closed", "hangs up instead of TLS", NO_PASSWORD, "STARTTLS: close"),
    row("smtp-starttls-silent", "never answers STARTTLS", NO_PASSWORD, "STARTTLS: silence"),
    row("smtp-auth-missing", "does not offer AUTH", EITHER,
        "EHLO: without AUTH\nsmtp AUTH: 502 5.5.1 AUTH not implemented"),
    row("smtp-auth-login-only", "offers AUTH LOGIN only", SENDS, "EHLO: with AUTH LOGIN"),
    row("smtp-auth-oauth-only", "offers AUTH XOAUTH2 only", EITHER, "EHLO: with AUTH XOAUTH2"),
    row("smtp-auth-refused", "refuses each login", REPORTS,
        "smtp AUTH: 535 5.7.8 Authentication credentials invalid"),
    row("smtp-auth-later", "cannot check passwords now", RETRIES,
        "smtp AUTH: 454 4.7.0 Temporary authentication failure"),
    row("smtp-auth-closed", "hangs up at AUTH", RETRIES, "smtp AUTH: close\n"
        "smtp challenge: close"),
)  # fmt: skip

ENVELOPE = (
    row("smtp-login-required", "refuses the sender: log in first", REPORTS,
        "MAIL: 530 5.7.0 Authentication required"),
    row("smtp-sender-refused", "refuses the sender", REPORTS,
        "MAIL: 553 5.7.1 Sender address rejected: not owned by user"),
    row("smtp-sender-later", "refuses the sender for now", RETRIES,
        "MAIL: 451 4.3.0 Temporary server error"),
    row("smtp-rate-limit", "accepts one message a session, and then hangs up with 421", RETRIES,
        "MAIL#2: 421 4.7.0 Too many messages, slow down", "Mailpit#676"),
    row("smtp-greylist", "refuses all recipients in the first session, and accepts them later",
        RETRIES, first_session(parse_rules("RCPT: 450 4.2.0 Greylisted, try again later"))),
    row("smtp-recipient-unknown", "refuses each recipient: unknown", REPORTS,
        "RCPT: 550 5.1.1 User unknown"),
    row("smtp-recipient-later", "refuses each recipient for now", RETRIES,
        "RCPT: 451 4.3.0 Temporary lookup failure"),
    row("smtp-recipient-full", "refuses each recipient: its mailbox is full", RETRIES,
        "RCPT: 452 4.2.2 Mailbox full"),
    row("smtp-recipient-second", "refuses the second recipient of a session",
        "sends to the others, and reports the error", "RCPT#2: 550 5.1.1 User unknown"),
    row("smtp-relay-denied", "refuses to relay", REPORTS, "RCPT: 554 5.7.1 Relay access denied"),
    row("smtp-recipient-closed", "hangs up at RCPT", RETRIES, "RCPT: close"),
)  # fmt: skip

CONTENT = (
    row("smtp-size-1000", "accepts messages of 1000 octets at most", REPORTS, _limit_size),
    row("smtp-data-refused", "refuses DATA", REPORTS, "DATA: 554 5.5.1 No valid recipients"),
    row("smtp-data-later", "refuses DATA for now", RETRIES,
        "DATA: 451 4.3.0 Queue file write error"),
    row("smtp-data-closed", "hangs up while the message comes", RETRIES, "DATA: close at 100%"),
    row("smtp-data-reset", "resets the connection while the message comes", RETRIES,
        "DATA: reset at 100%"),
    row("smtp-message-refused", "refuses the message: spam", REPORTS,
        "MESSAGE: 550 5.7.1 Message rejected as spam"),
    row("smtp-message-later", "refuses the message for now", RETRIES,
        "MESSAGE: 451 4.3.0 Temporary server error"),
    row("smtp-message-too-big", "refuses the message: too big", REPORTS,
        "MESSAGE: 552 5.3.4 Message too big"),
    row("smtp-message-quota", "refuses the message: the quota is used up", RETRIES,
        "MESSAGE: 452 4.2.2 Over quota"),
    row("smtp-message-closed", "stores the message, and hangs up without a reply", TWICE,
        "MESSAGE: close"),
    row("smtp-message-silent", "stores the message, and never says so", TWICE,
        "MESSAGE: silence"),
    row("smtp-message-late", "says after 150 ms that it stored the message", SENDS,
        "MESSAGE: wait 150ms"),
    row("smtp-second-message-refused", "refuses the second message of a session",
        "sends the others, and reports the error", "MESSAGE#2: 550 5.7.1 Message rejected"),
)  # fmt: skip

ANY_REPLY = (
    row("smtp-slow", "takes 150 ms for each reply", SENDS, "smtp *: wait 150ms"),
    row("smtp-drip", "sends its replies octet by octet", SENDS, "smtp *: chunks 1"),
    row("smtp-lf", "ends its lines with LF alone", EITHER,
        each_part(lambda octets: octets.replace(b"\r\n", b"\n"))),
    row("smtp-reply-cut", "hangs up within its third reply", RETRIES, "smtp *#3: close at 50%"),
    row("smtp-rset-refused", "refuses RSET", EITHER, "smtp RSET: 502 5.5.1 RSET not implemented"),
    row("smtp-noop-refused", "refuses NOOP", EITHER, "smtp NOOP: 502 5.5.1 NOOP not implemented"),
    row("smtp-quit-closed", "hangs up at QUIT", SENDS, "smtp QUIT: close"),
    row("smtp-quit-silent", "never answers QUIT", SENDS, "smtp QUIT: silence"),
)  # fmt: skip

STAGES = {
    "Connection and greeting": CONNECT,
    "EHLO, TLS and AUTH": GREETED,
    "Sender and recipients": ENVELOPE,
    "Message": CONTENT,
    "Any reply": ANY_REPLY,
}
"""The rows by the stage of a session, in its order."""

SMTP_FAULTS: Mapping[str, SmtpFault] = MappingProxyType(
    {fault.name: fault for rows in STAGES.values() for fault in rows}
)
"""Every fault by its name, in the order of a session."""
