"""The server's side of a connection, from greeting to goodbye."""

from __future__ import annotations

import functools
import re

from restante.protocol.commands import ALLOWED, VERBS, Command
from restante.protocol.errors import BadCommand, LineTooLong, Refused, TlsWanted
from restante.protocol.exchange import RESPONSE_LIMIT
from restante.protocol.lines import unended
from restante.protocol.needs import Conversation, ReadLine, Reply, Timestamp
from restante.protocol.replies import ok, refused
from restante.protocol.state import End, Session, State

COMMAND_LIMIT = 255  # octets of a command, line end included: RFC 2449 section 4
AUTH_LIMIT = RESPONSE_LIMIT  # the same for AUTH, which may bring a long initial response

HTTP_REQUEST = re.compile(
    rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT) +(?:/|\S+ HTTP/)"
)
"""A web page must not make a browser speak POP3: the session is closed. (GET 1 is just unknown.)"""


def serve(session: Session) -> Conversation:
    """Hold the whole conversation, and end it when `session.end` says why.

    A driver that closes this generator at any point removes no mail: RFC 1939 section 6.
    """
    yield (yield from _greeting(session))
    while session.end is None:
        try:
            verb, reply = _carry_out(session, (yield _command_line(session)))
            if not isinstance(reply, bytes):
                reply = yield from reply
            session.last_verb = verb
        except Refused as refusal:
            reply = refused(refusal, session.say)
            _count(session, refusal)
        yield reply


def _greeting(session: Session) -> Reply:
    """Return the greeting; where APOP is offered it ends in a timestamp. RFC 1939 section 7."""
    if not session.settings.apop:
        return ok(session.settings.greeting)
    session.timestamp = yield from Timestamp()
    return ok(f"{session.settings.greeting} {session.timestamp}")


def _command_line(session: Session) -> ReadLine:
    """Return the need for the next command, the same one as long as nothing about it changes."""
    limit = AUTH_LIMIT if session.state is State.AUTHORIZATION else COMMAND_LIMIT
    return _read_line(limit, session.patience)


_read_line = functools.cache(ReadLine)


def _carry_out(session: Session, line: bytes) -> tuple[bytes, bytes | Reply]:
    """Find the command's row, read its argument and let its handler answer."""
    verb, argument = _split(session, line)
    last_verb, session.last_verb = session.last_verb, b""
    command = _find(session, verb, last_verb, line)
    arguments = command.argument.parse(verb, argument)
    session.bad_commands = 0
    return verb, command.handler(session, *arguments)


def _split(session: Session, line: bytes) -> tuple[bytes, bytes | None]:
    """Return the keyword in upper case, and what follows its space. RFC 1939 section 3."""
    try:
        text = unended(line, strict=session.settings.strict_line_ends)
    except BadCommand:
        _refuse_browsers(session, line)
        raise
    keyword, space, argument = text.partition(b" ")
    verb = keyword.upper()
    if len(text) > COMMAND_LIMIT - len(b"\r\n") and verb != b"AUTH":
        _refuse_browsers(session, line)
        raise LineTooLong(text[:COMMAND_LIMIT], ended=True)
    return verb, argument if space else None


def _find(session: Session, verb: bytes, last_verb: bytes, line: bytes) -> Command:
    """Return the row of a command that is allowed here and now."""
    command = ALLOWED[session.state].get(verb)
    if command is None:
        if verb not in VERBS:
            _refuse_browsers(session, line)
            raise BadCommand("Unknown command.")
        if session.state is State.AUTHORIZATION:
            raise BadCommand("Log in first.")
        raise BadCommand("You are logged in already.")
    if command.after not in (b"", last_verb):
        raise BadCommand("Send {verb} first.", verb=command.after.decode())
    return command


def _refuse_browsers(session: Session, line: bytes) -> None:
    """End the session with who speaks HTTP. No method of HTTP is a command of POP3."""
    if HTTP_REQUEST.match(line):
        session.end = End.HTTP
        raise BadCommand("This is a POP3 server, not a web server.")


def _count(session: Session, refusal: Refused) -> None:
    """Count what no client should send, and end the session when it does not stop.

    A login in clear text is such a thing too, but one to be told of rather than punished. Each
    refused login counts, for whatever reason, also one that the client cancelled.
    """
    session.last_verb = b""
    settings = session.settings
    logged_in = session.state is not State.AUTHORIZATION
    if isinstance(refusal, TlsWanted):
        session.refused_in_clear = session.refused_in_clear or refusal.user
    if not logged_in and session.logins >= settings.refused_logins:
        session.end = session.end or End.REFUSED_LOGINS
    if not isinstance(refusal, BadCommand):
        return
    session.bad_commands += 1
    most = settings.bad_commands_after_login if logged_in else settings.bad_commands_before_login
    if isinstance(refusal, LineTooLong) and not refusal.ended:
        session.end = End.HTTP if HTTP_REQUEST.match(refusal.start) else End.ENDLESS_LINE
    elif session.bad_commands >= most and session.end is None:
        session.end = End.BAD_COMMANDS
