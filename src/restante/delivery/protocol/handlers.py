"""One function a command: it reads its argument and returns the reply, or asks for more first.

The texts are those of aiosmtpd, which spoke here before: scripts may know them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from restante.delivery.protocol.needs import (
    Command,
    DeliverMessage,
    ReceiveMessage,
    Reply,
    ResolveRecipient,
)
from restante.delivery.protocol.session import (
    MAX_RECIPIENTS,
    CommandError,
    DeliverySession,
    Dialect,
    Transaction,
)
from restante.delivery.replies import BAD_ADDRESS, DELIVERED, UNKNOWN, DeliveryReply

if TYPE_CHECKING:
    from collections.abc import Sequence

PARAMETERS = " [SP <mail-parameters>]"
MAIL_USAGE = "MAIL FROM: <address>"
RCPT_USAGE = "RCPT TO: <address>"

_PATH = re.compile(
    r"\s*<(?:@[^:<>\s]*:)?(?P<address>(?:\"(?:[^\"\\]|\\.)*\"|[^\"<>\s])*)>(?P<rest>(?:\s.*)?)",
    re.DOTALL,
)
"""A path of RFC 5321 section 4.1.2: a source route is allowed, and ignored."""


def ehlo(session: DeliverySession, name: str) -> Reply:
    """Greet, and announce the extensions. RFC 2033 section 5 requires the last two."""
    if not name:
        raise CommandError("501 5.5.4 Syntax: EHLO hostname")
    _greet(session, name, extended=True)
    return (
        f"250-{session.host}",
        f"250-SIZE {session.message_size}",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-PIPELINING",
        "250-ENHANCEDSTATUSCODES",
        "250 HELP",
    )


def helo(session: DeliverySession, name: str) -> Reply:
    """Greet a client that knows no extensions."""
    if not name:
        raise CommandError("501 5.5.4 Syntax: HELO hostname")
    _greet(session, name, extended=False)
    return f"250 2.0.0 {session.host}"


def _greet(session: DeliverySession, name: str, *, extended: bool) -> None:
    """Start anew: RFC 5321 section 4.1.4."""
    session.client, session.extended = name, extended
    session.transaction = Transaction()


def helo_of_smtp(_session: DeliverySession, _name: str) -> Reply:
    """Reject HELO in LMTP. RFC 2033 section 4.1."""
    raise CommandError('500 5.5.2 Error: command "HELO" not recognized')


def ehlo_of_smtp(_session: DeliverySession, _name: str) -> Reply:
    """Reject EHLO in LMTP. RFC 2033 section 4.1."""
    raise CommandError('500 5.5.2 Error: command "EHLO" not recognized')


def mail(session: DeliverySession, argument: str) -> Reply:
    """Begin a transaction with its sender, which may be the null sender."""
    syntax = _syntax(session, MAIL_USAGE)
    sender, parameters = _path(session, "FROM:", argument, syntax)
    if session.transaction.sender is not None:
        raise CommandError("503 5.5.1 Error: nested MAIL command")
    if parameters.pop("BODY", "7BIT") not in {"7BIT", "8BITMIME"}:
        raise CommandError("501 5.5.4 Error: BODY can only be one of 7BIT, 8BITMIME")
    if parameters.pop("SMTPUTF8", None):
        raise CommandError("501 5.5.4 Error: SMTPUTF8 takes no arguments")
    size = parameters.pop("SIZE", "0")
    if not (size and size.isascii() and size.isdigit()):
        raise CommandError(syntax)
    if int(size) > session.message_size:
        return "552 5.3.4 Error: message size exceeds fixed maximum message size"
    if parameters:
        raise CommandError("555 5.5.4 MAIL FROM parameters not recognized or not implemented")
    if not sender.isprintable():
        return str(BAD_ADDRESS)
    session.transaction.sender = sender
    return "250 2.1.0 OK"


def rcpt(session: DeliverySession, argument: str) -> Command:
    """Add a recipient that has a maildrop here."""
    transaction = session.transaction
    if transaction.sender is None:
        raise CommandError("503 5.5.1 Error: need MAIL command")
    address, parameters = _path(session, "TO:", argument, _syntax(session, RCPT_USAGE))
    if parameters:
        raise CommandError("555 5.5.4 RCPT TO parameters not recognized or not implemented")
    if len(transaction.recipients) >= MAX_RECIPIENTS:
        return "452 4.5.3 too many recipients"
    owner = yield from ResolveRecipient(address or "<>")
    if isinstance(owner, DeliveryReply):
        return f"{owner}{session.unknown_hint}" if owner is UNKNOWN else str(owner)
    transaction.recipients.append((address, owner))
    return "250 2.1.5 OK"


def data(session: DeliverySession, _argument: str) -> Command:
    """Receive a message and deliver it to each recipient."""
    recipients = session.transaction.recipients
    if not recipients:
        raise CommandError("503 5.5.1 Error: need RCPT command")
    yield b"354 End data with <CR><LF>.<CR><LF>\r\n"
    message = yield from ReceiveMessage()
    if isinstance(message, DeliveryReply):
        outcomes: Sequence[DeliveryReply] = [message] * len(recipients)
    else:
        outcomes = yield from DeliverMessage(message)
    session.transaction = Transaction()
    session.bad_commands = session.commands = 0
    if session.dialect is Dialect.LMTP:  # a reply for each recipient: RFC 2033 section 4.2
        return tuple(str(outcome) for outcome in outcomes)
    return str(next((bad for bad in outcomes if bad is not DELIVERED), DELIVERED))


def rset(session: DeliverySession, _argument: str) -> Reply:
    """Abandon the transaction."""
    session.transaction = Transaction()
    return "250 2.0.0 OK"


def noop(_session: DeliverySession, _argument: str) -> Reply:
    """Do nothing."""
    return "250 2.0.0 OK"


def quit_(session: DeliverySession, _argument: str) -> Reply:
    """End the session."""
    session.ended = session.quit = True
    return "221 2.0.0 Bye"


def vrfy(_session: DeliverySession, argument: str) -> Reply:
    """Reveal nothing: RFC 5321 section 7.3."""
    if not argument:
        raise CommandError("501 5.5.4 Syntax: VRFY <address>")
    if not _PATH.fullmatch(argument):
        raise CommandError(f"502 5.5.1 Could not VRFY {argument}")
    return "252 2.5.0 Cannot VRFY user, but will accept message and attempt delivery"


def expn(_session: DeliverySession, _argument: str) -> Reply:
    """Reject EXPN: mailing lists are not supported."""
    raise CommandError("502 5.5.1 EXPN not implemented")


def starttls(_session: DeliverySession, _argument: str) -> Reply:
    """Reject: mail comes from this machine only."""
    return "454 4.7.0 TLS not available"


def auth(_session: DeliverySession, _argument: str) -> Reply:
    """Reject AUTH: delivery requires no login."""
    raise CommandError("502 5.5.1 Error: AUTH is not implemented; no login is required")


def _syntax(session: DeliverySession, usage: str) -> str:
    return f"501 5.5.4 Syntax: {usage}{PARAMETERS if session.extended else ''}"


def _path(
    session: DeliverySession, keyword: str, argument: str, syntax: str
) -> tuple[str, dict[str, str]]:
    """Return the address of MAIL or RCPT, and the parameters after it, in upper case."""
    if argument[: len(keyword)].upper() != keyword:
        raise CommandError(syntax)
    path = _PATH.fullmatch(argument[len(keyword) :].strip())
    if path is None:
        raise CommandError("553 5.1.3 Error: malformed address")
    if path["rest"] and not session.extended:
        raise CommandError(syntax)
    parameters = {}
    for parameter in path["rest"].upper().split():
        name, equals, value = parameter.partition("=")
        if not name.isalnum() or (equals and not value):
            raise CommandError(syntax)
        parameters[name] = value
    return path["address"], parameters
