"""The SMTP of developer mode: the verbs of delivery, and AUTH and STARTTLS that work. No I/O.

Any name and any password are accepted, by any mechanism that is listed: the program under test has
credentials for another server.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from restante.delivery.protocol import handlers
from restante.delivery.protocol.commands import VERBS, describe_verbs
from restante.delivery.protocol.needs import ReadCommand
from restante.delivery.protocol.session import (
    CommandError,
    DeliverySession,
    Dialect,
    Transaction,
)
from restante.misbehave.smtp.conversation import StartSmtpTls

if TYPE_CHECKING:
    from collections.abc import Generator

    from restante.delivery.protocol.needs import Command, Reply
    from restante.protocol.server.needs import Need

RESPONSE_LIMIT = 12_288  # octets of a response to AUTH: RFC 4954 section 4
CHALLENGE = b"<1896.697170952@restante.example>"  # of CRAM-MD5; any answer to it is right

AskForText: TypeAlias = "Generator[bytes | Need[Any], Any, str]"


class SmtpState(NamedTuple):
    """Where a session stands: its greeting, its login, and its transaction."""

    client: str
    extended: bool
    login: str
    transaction: Transaction


@dataclass(slots=True, kw_only=True)
class DeveloperSmtpSession(DeliverySession):
    """The state of one connection, beside that of delivery.

    Attributes:
        tls: whether TLS is on. can_start_tls: whether STARTTLS is possible.
        login: the name of the client that logged in, or "".
    """

    tls: bool = False
    can_start_tls: bool = False
    login: str = ""

    @property
    def command_limit(self) -> int:
        """How many octets a command line may have: AUTH may bring a long token."""
        return RESPONSE_LIMIT

    def save(self) -> SmtpState:
        """Return where the session stands, for `restore`."""
        transaction = self.transaction
        return SmtpState(
            self.client,
            self.extended,
            self.login,
            Transaction(transaction.sender, transaction.recipients.copy()),
        )

    def restore(self, saved: SmtpState) -> None:
        """Go back to what `save` returned: a fault has refused the command since then."""
        self.client, self.extended, self.login, self.transaction = saved


def ehlo(session: DeliverySession, name: str) -> Reply:
    """Greet, and announce AUTH and STARTTLS too. RFC 4954 section 3, RFC 3207 section 4."""
    assert isinstance(session, DeveloperSmtpSession)
    reply = handlers.ehlo(session, name)
    assert isinstance(reply, tuple)
    more = [f"250-AUTH {' '.join(MECHANISMS)}"]
    if session.can_start_tls and not session.tls:
        more.append("250-STARTTLS")
    return (*reply[:-1], *more, reply[-1])


def starttls(session: DeliverySession, _argument: str) -> Command:
    """Begin TLS, and forget all that the client said. RFC 3207 section 4.2."""
    assert isinstance(session, DeveloperSmtpSession)
    if session.tls:
        raise CommandError("503 5.5.1 Error: TLS is on already")
    if not session.can_start_tls:
        raise CommandError("454 4.7.0 TLS not available")
    yield b"220 2.0.0 Ready to start TLS\r\n"
    yield from StartSmtpTls()
    session.tls = True
    session.client, session.extended, session.login = "", False, ""
    session.transaction = Transaction()
    return ()


def auth(session: DeliverySession, argument: str) -> Command:
    """Log in by a mechanism of SASL, with any credentials. RFC 4954 section 4."""
    assert isinstance(session, DeveloperSmtpSession)
    if session.login or session.transaction.sender is not None:
        raise CommandError("503 5.5.1 Error: not now")
    name, _, initial = argument.partition(" ")
    log_in = MECHANISMS.get(name.upper())
    if log_in is None:
        raise CommandError("504 5.5.4 Unrecognized authentication type")
    login = yield from log_in(initial.strip())
    if not login:
        raise CommandError("501 5.5.2 Error: the response is not understood")
    session.login = login
    return "235 2.7.0 Authentication successful"


def _respond(initial: str, challenge: bytes = b"") -> AskForText:
    """Return the text of the client's response, which came with AUTH or is asked for now."""
    if not initial:
        yield b"334 " + base64.b64encode(challenge) + b"\r\n"
        line = yield from ReadCommand(RESPONSE_LIMIT)
        initial = line.rstrip(b"\r\n").decode(errors="replace")
    if initial == "*":
        raise CommandError("501 5.7.0 Authentication cancelled")
    try:
        octets = binascii.a2b_base64("" if initial == "=" else initial, strict_mode=True)
    except ValueError:
        raise CommandError("501 5.5.2 Error: that is not base64") from None
    return octets.decode(errors="replace")


def _plain(initial: str) -> AskForText:
    """RFC 4616."""
    fields = (yield from _respond(initial)).split("\0")
    return fields[1] if len(fields) == 3 else ""


def _login(initial: str) -> AskForText:
    """Ask for name and password in turn."""
    name = yield from _respond(initial, b"Username:")
    yield from _respond("", b"Password:")
    return name


def _cram_md5(_initial: str) -> AskForText:
    """RFC 2195; the digest is not checked."""
    return (yield from _respond("", CHALLENGE)).rpartition(" ")[0]


def _xoauth2(initial: str) -> AskForText:
    """Google's and Microsoft's form of a token."""
    message = yield from _respond(initial)
    return message.partition("\x01")[0].removeprefix("user=") or "token"


def _oauthbearer(initial: str) -> AskForText:
    """RFC 7628."""
    header = (yield from _respond(initial)).partition("\x01")[0]
    return next((part[2:] for part in header.split(",") if part.startswith("a=")), "") or "token"


MECHANISMS = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
    "XOAUTH2": _xoauth2,
    "OAUTHBEARER": _oauthbearer,
}


def help_(session: DeliverySession, argument: str) -> Reply:
    """Reply with the syntax of a command, or with the list of commands."""
    return describe_verbs(DEVELOPER_VERBS, session, argument)


_SMTP = VERBS[Dialect.SMTP]
DEVELOPER_VERBS = _SMTP | {
    "AUTH": replace(_SMTP["AUTH"], handler=auth, usage="AUTH <mechanism>", greeted=True),
    "STARTTLS": replace(_SMTP["STARTTLS"], handler=starttls, usage="STARTTLS", greeted=True),
    "EHLO": replace(_SMTP["EHLO"], handler=ehlo),
    "HELP": replace(_SMTP["HELP"], handler=help_),
}
