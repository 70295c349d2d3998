"""The server's side of a connection, from its greeting to its end."""

from __future__ import annotations

import functools

from restante.protocol.errors import BadCommand, LineTooLong, Refusal, TlsRequired
from restante.protocol.lines import COMMAND_LIMIT, HTTP_REQUEST, UNENDED, strip_line_end
from restante.protocol.server.arguments import NoMatchError
from restante.protocol.server.commands import AFTER_LOGIN, BEFORE_LOGIN, OF_PROXIES, VERBS, Command
from restante.protocol.server.needs import Conversation, NewTimestamp, ReadLine, Reply
from restante.protocol.server.sasl_exchange import RESPONSE_LIMIT
from restante.protocol.server.session import AUTHORIZATION, EndReason, Session
from restante.protocol.status import error_reply, ok, say
from restante.protocol.translations.languages import DEFAULT

TEXT_LIMIT = COMMAND_LIMIT - 2  # without CR LF
AUTH_LIMIT = RESPONSE_LIMIT  # the same for AUTH, which may bring a long initial response


def serve(session: Session) -> Conversation:
    """Run the whole conversation, until a handler or an error sets `session.end`.

    A command that needs nothing is one step: the driver sends a line and gets the reply.

    A driver that closes this generator at any point removes no mail: RFC 1939 section 6.
    """
    settings = session.settings
    greeting = f"[XCLIENT] {settings.greeting}" if session.names_client else settings.greeting
    reply = say(greeting, DEFAULT)
    if settings.apop:  # the greeting ends in a timestamp: RFC 1939 section 7
        session.timestamp = yield from NewTimestamp()
        reply = ok(f"{greeting} {session.timestamp}")
    before_login = _need_of_line(AUTH_LIMIT, settings.login_timeout, UNENDED)
    after_login = _need_of_line(COMMAND_LIMIT, settings.idle_timeout)
    while session.end is None:
        expected = before_login if session.state is AUTHORIZATION else after_login
        try:
            answer = _carry_out(session, (yield reply, expected))
            reply = answer if isinstance(answer, bytes) else (yield from answer)
        except Refusal as refusal:
            reply = error_reply(refusal, session.translate)
            _count_refusal(session, refusal)
    return reply, session.end


_need_of_line = functools.lru_cache(ReadLine)  # all sessions have the same two


def _carry_out(session: Session, line: bytes) -> bytes | Reply:
    """Find the command's row, read its argument and let its handler answer.

    RFC 1939 section 3: a keyword in any case, one space, and what follows it.
    """
    text = line[:-2] if line.endswith(b"\r\n") else _without_lf(session, line)
    keyword, _, argument = text.partition(b" ")
    verb = keyword.upper()
    command = (BEFORE_LOGIN if session.state is AUTHORIZATION else AFTER_LOGIN).get(verb)
    if command is None or len(text) > TEXT_LIMIT:
        command = _find_unusual(session, command, verb, text)
    if command.after and command.after != session.last_verb:
        raise BadCommand("Send {verb} first.", verb=command.after.decode())
    session.last_verb = verb
    grammar = command.argument
    try:
        arguments = grammar.read(argument) if argument or grammar.bare is None else grammar.bare
    except NoMatchError:
        usage = f"{verb.decode()} {grammar.usage}".rstrip()
        raise BadCommand("Write it as: {usage}", usage=usage) from None
    session.bad_commands = 0
    return command.handler(session, *arguments)


def _without_lf(session: Session, line: bytes) -> bytes:
    """Return a line without its LF. Raises BadCommand: a line must not end with LF alone."""
    try:
        return strip_line_end(line, strict=session.settings.strict_line_ends)
    except BadCommand:
        _reject_http(session, line)
        raise


def _find_unusual(session: Session, command: Command | None, verb: bytes, text: bytes) -> Command:
    """Return the row of a long command, or of one for proxies. Raises BadCommand: there is none."""
    if command is None and session.names_client and session.state is AUTHORIZATION:
        command = OF_PROXIES.get(verb)
    if len(text) > TEXT_LIMIT and (command is None or not command.long):
        _reject_http(session, text)
        raise LineTooLong(text[:COMMAND_LIMIT], ended=True)
    if command is None:
        raise _not_allowed(session, verb, text)
    return command


def _not_allowed(session: Session, verb: bytes, text: bytes) -> BadCommand:
    """Return the error of a command that is unknown, or not allowed in this state."""
    if verb not in VERBS:
        _reject_http(session, text)
        return BadCommand("Unknown command.")
    if session.state is AUTHORIZATION:
        return BadCommand("Log in first.")
    return BadCommand("You are logged in already.")


def _reject_http(session: Session, line: bytes) -> None:
    """End the session of an HTTP client by BadCommand. No command of POP3 is a method of HTTP."""
    if HTTP_REQUEST.match(line):
        session.end = EndReason.HTTP
        raise BadCommand("This is a POP3 server, not a web server.")


def _count_refusal(session: Session, refusal: Refusal) -> None:
    """Count commands that no client should send, and end the session after too many in a row.

    A cleartext login is logged rather than counted. Each rejected login counts, for any reason,
    also one that the client cancelled.
    """
    session.last_verb = b""
    settings = session.settings
    logged_in = session.state is not AUTHORIZATION
    if isinstance(refusal, TlsRequired):
        session.refused_in_clear = session.refused_in_clear or refusal.user
    if not logged_in and session.logins >= settings.refused_logins:
        session.end = session.end or EndReason.REFUSED_LOGINS
    if not isinstance(refusal, BadCommand):
        return
    session.bad_commands += 1
    limit = settings.bad_commands_after_login if logged_in else settings.bad_commands_before_login
    if isinstance(refusal, LineTooLong) and not refusal.ended:
        session.end = (
            EndReason.HTTP if HTTP_REQUEST.match(refusal.start) else EndReason.ENDLESS_LINE
        )
    elif session.bad_commands >= limit and session.end is None:
        session.end = EndReason.BAD_COMMANDS
