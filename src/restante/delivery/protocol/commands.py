"""THE TABLE of verbs: their protocol, arguments and handlers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.delivery.protocol import handlers
from restante.delivery.protocol.handlers import MAIL_USAGE, PARAMETERS, RCPT_USAGE
from restante.delivery.protocol.session import CommandError, DeliverySession, Dialect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from restante.delivery.protocol.needs import Command, Reply

LMTP, SMTP = (Dialect.LMTP,), (Dialect.SMTP,)
BOTH = LMTP + SMTP


@dataclass(frozen=True, slots=True)
class Verb:
    """One row: a verb in the dialects that have it.

    Attributes:
        usage: What HELP says of it; a verb without usage is not listed.
        greeted: Whether the client must have greeted before.
        argument: Whether anything may follow the verb.
        parameters: Whether mail parameters may follow after EHLO or LHLO.
    """

    name: str
    dialects: tuple[Dialect, ...]
    handler: Callable[[DeliverySession, str], Reply | Command]
    source: str
    usage: str = ""
    greeted: bool = False
    argument: bool = True
    parameters: bool = False


def help_(session: DeliverySession, argument: str) -> Reply:
    """Reply with the syntax of a command, or with the list of commands."""
    return describe_verbs(VERBS[session.dialect], session, argument)


def describe_verbs(verbs: Mapping[str, Verb], session: DeliverySession, argument: str) -> Reply:
    """Return the reply of HELP for these verbs. Raises CommandError: another verb is asked for."""
    row = verbs.get(argument.upper())
    if row is not None and row.usage:
        parameters = PARAMETERS if row.parameters and session.extended else ""
        return f"250 2.0.0 Syntax: {row.usage}{parameters}"
    names = " ".join(sorted(name for name, row in verbs.items() if row.usage))
    if argument:
        raise CommandError(f"501 5.5.4 Supported commands: {names}")
    return f"250 2.0.0 Supported commands: {names}"


COMMANDS = (
    Verb("LHLO", LMTP, handlers.ehlo, "RFC 2033 section 4.1", "LHLO hostname"),
    Verb("EHLO", LMTP, handlers.ehlo_of_smtp, "RFC 2033 section 4.1"),
    Verb("HELO", LMTP, handlers.helo_of_smtp, "RFC 2033 section 4.1"),
    Verb("EHLO", SMTP, handlers.ehlo, "RFC 5321 section 4.1.1.1", "EHLO hostname"),
    Verb("HELO", SMTP, handlers.helo, "RFC 5321 section 4.1.1.1", "HELO hostname"),
    Verb(
        "MAIL", BOTH, handlers.mail, "RFC 5321 section 4.1.1.2", MAIL_USAGE,
        greeted=True, parameters=True,
    ),
    Verb(
        "RCPT", BOTH, handlers.rcpt, "RFC 5321 section 4.1.1.3", RCPT_USAGE,
        greeted=True, parameters=True,
    ),
    Verb(
        "DATA", BOTH, handlers.data, "RFC 5321 section 4.1.1.4", "DATA",
        greeted=True, argument=False,
    ),
    Verb("RSET", BOTH, handlers.rset, "RFC 5321 section 4.1.1.5", "RSET", argument=False),
    Verb("VRFY", BOTH, handlers.vrfy, "RFC 5321 section 4.1.1.6", "VRFY <address>"),
    Verb("EXPN", BOTH, handlers.expn, "RFC 5321 section 4.1.1.7"),
    Verb("HELP", BOTH, help_, "RFC 5321 section 4.1.1.8", "HELP [command]"),
    Verb("NOOP", BOTH, handlers.noop, "RFC 5321 section 4.1.1.9", "NOOP [ignored]"),
    Verb("QUIT", BOTH, handlers.quit_, "RFC 5321 section 4.1.1.10", "QUIT", argument=False),
    Verb("STARTTLS", BOTH, handlers.starttls, "RFC 3207 section 4", argument=False),
    Verb("AUTH", BOTH, handlers.auth, "RFC 4954 section 4"),
)  # fmt: skip

VERBS = {
    dialect: {row.name: row for row in COMMANDS if dialect in row.dialects} for dialect in Dialect
}
