"""The server's side of a session, from greeting to goodbye."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.delivery.protocol.commands import VERBS
from restante.delivery.protocol.needs import ReadCommand
from restante.delivery.protocol.session import (
    MAX_BAD_COMMANDS,
    MAX_COMMANDS,
    MAX_UNKNOWN,
    CommandError,
)
from restante.protocol.errors import LineTooLong
from restante.protocol.lines import HTTP_REQUEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from restante.delivery.protocol.commands import Verb
    from restante.delivery.protocol.needs import Command, Conversation, Reply
    from restante.delivery.protocol.session import DeliverySession

LINE_END = len(b"\r\n")
LONGEST_REPLY = 510  # octets of a line, without its end: RFC 5321 section 4.5.3.1.5


def serve(session: DeliverySession) -> Conversation:
    """Hold the whole conversation, until `session.ended`.

    A driver that closes this generator leaves nothing undone but the replies.
    """
    return serve_verbs(session, VERBS[session.dialect])


def serve_verbs(session: DeliverySession, verbs: Mapping[str, Verb]) -> Conversation:
    """Hold the same conversation with the verbs of another table."""
    yield encode_reply(f"220 {session.host} Restante")
    while not session.ended:
        try:
            line = yield ReadCommand(session.command_limit + LINE_END)
            reply = _carry_out(session, line, verbs)
            if not isinstance(reply, str | tuple):
                reply = yield from reply
        except LineTooLong as error:
            if HTTP_REQUEST.match(error.start):
                reply = _end_browser(session)
            else:
                reply = _reject(session, "500 5.5.2 Command line too long")
                session.ended = session.ended or not error.ended
        except CommandError as error:
            reply = _reject(session, str(error))
        yield encode_reply(reply)


def encode_reply(reply: Reply) -> bytes:
    """Return the lines of a reply as they are sent: nothing of the client's can add another."""
    lines = (reply,) if isinstance(reply, str) else reply
    return b"".join(_printable(line)[:LONGEST_REPLY].encode() + b"\r\n" for line in lines)


def _printable(line: str) -> str:
    if line.isascii() and line.isprintable():
        return line
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in line)


def _carry_out(session: DeliverySession, line: bytes, verbs: Mapping[str, Verb]) -> Reply | Command:
    """Find the verb's row and let its handler answer. Raises CommandError."""
    if HTTP_REQUEST.match(line):  # no verb is a method of HTTP
        return _end_browser(session)
    session.commands += 1
    if session.commands > MAX_COMMANDS:
        session.ended = True
        raise CommandError("421 4.7.0 too many commands without a message")
    text = line.rstrip(b"\r\n")
    if len(text) > session.command_limit:
        raise CommandError("500 5.5.2 Command line too long")
    verb, _, after_verb = text.partition(b" ")
    if not text or not verb.isascii():
        raise CommandError("500 5.5.2 Error: bad syntax")
    name, argument = verb.upper().decode(), after_verb.strip().decode(errors="surrogateescape")
    row = verbs.get(name)
    if row is None:
        raise _unknown(session, name)
    if row.greeted and not session.client:
        raise CommandError(f"503 5.5.1 Error: send {session.dialect.value} first")
    if argument and not row.argument:
        raise CommandError(f"501 5.5.4 Syntax: {name}")
    return row.handler(session, argument)


def _end_browser(session: DeliverySession) -> str:
    """Return the reply to an HTTP client, and end the session: its request may have a message."""
    session.ended = True
    return "554 5.5.1 This is a mail server, not a web server"


def _unknown(session: DeliverySession, name: str) -> CommandError:
    """Return the reply to an unknown verb; too many of them end the session."""
    session.unknown += 1
    if session.unknown < MAX_UNKNOWN:
        return CommandError(f'500 5.5.2 Error: command "{name}" not recognized')
    session.ended = True
    return CommandError("502 5.5.1 Too many unrecognized commands, goodbye.")


def _reject(session: DeliverySession, reply: str) -> str:
    """Count a bad command, and return the reply to it; too many end the session."""
    session.bad_commands += 1
    if session.bad_commands >= MAX_BAD_COMMANDS and not session.ended:
        session.ended = True
        return "421 4.7.0 too many bad commands"
    return reply
