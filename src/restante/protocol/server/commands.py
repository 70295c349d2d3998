"""THE TABLE of commands: what is allowed when, how it is written, and what carries it out.

The check of states, the usage in error texts and the reference page of commands come from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.protocol.server import arguments, handlers
from restante.protocol.server.session import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.protocol.server.needs import Reply

A = (State.AUTHORIZATION,)
T = (State.TRANSACTION,)


@dataclass(frozen=True, slots=True)
class Command:
    """One row: a command in the states where it is allowed."""

    verb: bytes
    states: tuple[State, ...]
    argument: arguments.Grammar
    handler: Callable[..., bytes | Reply]
    source: str
    after: bytes = b""  # the command that must have succeeded directly before
    long: bool = False  # it may have as many octets as a response of SASL


COMMANDS = (
    Command(b"CAPA", A + T, arguments.nothing, handlers.capa, "RFC 2449 section 5"),
    Command(b"STLS", A, arguments.nothing, handlers.stls, "RFC 2595 section 4"),
    Command(b"UTF8", A, arguments.nothing, handlers.utf8, "RFC 6856 section 2"),
    Command(b"LANG", A + T, arguments.language, handlers.lang, "RFC 6856 section 3"),
    Command(b"AUTH", A, arguments.mechanism, handlers.auth, "RFC 5034 section 4", long=True),
    Command(b"APOP", A, arguments.name_and_digest, handlers.apop, "RFC 1939 section 7"),
    Command(b"USER", A, arguments.name, handlers.user, "RFC 1939 section 7"),
    Command(b"PASS", A, arguments.password, handlers.pass_, "RFC 1939 section 7", after=b"USER"),
    Command(b"QUIT", A, arguments.nothing, handlers.quit_, "RFC 1939 section 4"),
    Command(b"STAT", T, arguments.nothing, handlers.stat, "RFC 1939 section 5"),
    Command(b"LIST", T, arguments.message_or_nothing, handlers.list_, "RFC 1939 section 5"),
    Command(b"UIDL", T, arguments.message_or_nothing, handlers.uidl, "RFC 1939 section 7"),
    Command(b"RETR", T, arguments.message, handlers.retr, "RFC 1939 section 5"),
    Command(b"TOP", T, arguments.message_and_lines, handlers.top, "RFC 1939 section 7"),
    Command(b"DELE", T, arguments.message, handlers.dele, "RFC 1939 section 5"),
    Command(b"RSET", T, arguments.nothing, handlers.rset, "RFC 1939 section 5"),
    Command(b"NOOP", T, arguments.nothing, handlers.noop, "RFC 1939 section 5"),
    Command(b"QUIT", T, arguments.nothing, handlers.quit_and_update, "RFC 1939 section 6"),
)

VERBS = frozenset(row.verb for row in COMMANDS)

ALLOWED = {state: {row.verb: row for row in COMMANDS if state in row.states} for state in State}
BEFORE_LOGIN, AFTER_LOGIN = ALLOWED[State.AUTHORIZATION], ALLOWED[State.TRANSACTION]

XCLIENT = Command(b"XCLIENT", A, arguments.client, handlers.xclient, "Dovecot", long=True)
OF_PROXIES = {XCLIENT.verb: XCLIENT}
"""The further commands of a proxy that may name its client. To all other peers they are unknown."""
