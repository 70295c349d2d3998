"""DELE, RSET and QUIT: only on samples of this run's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.conformance.check import CheckGroup, require
from restante.conformance.raw_connection import quote

if TYPE_CHECKING:
    from restante.conformance.context import ConformanceContext

THEME = CheckGroup()


@THEME.check(
    "rfc1939-s5/dele known-bug/marked-visible",
    "a marked message is gone from STAT, LIST, UIDL, RETR and TOP",
)
def marked(context: ConformanceContext) -> None:
    sample = context.sample("plain")
    with context.open_session() as connection:
        number, count = context.find(sample, connection), context.count(connection)
        connection.ok(f"DELE {number}")
        require(context.count(connection) == count - 1, f"STAT still counts {count}")
        for command in ("LIST", "UIDL"):
            numbers = [int(entry.split()[0]) for entry in connection.lines(command)]
            require(number not in numbers, f"{command} still lists message {number}")
        for command in (f"RETR {number}", f"TOP {number} 0", f"LIST {number}", f"DELE {number}"):
            answer = connection.say(command)
            if answer.startswith(b"+OK"):
                connection.more()
            require(answer.startswith(b"-ERR"), f"{command}: {quote(answer)}")
        connection.ok("RSET")
        connection.ok("QUIT")


@THEME.check(
    "rfc1939-s4/numbering known-bug/marked-visible",
    "marking a message does not change other numbers",
)
def numbers_stay(context: ConformanceContext) -> None:
    sample = context.sample("plain")
    with context.open_session() as connection:
        number = context.find(sample, connection)
        before = [entry for entry in connection.lines("UIDL") if int(entry.split()[0]) != number]
        connection.ok(f"DELE {number}")
        after = connection.lines("UIDL")
        require(before == after, f"{before[-1:]} became {after[-1:]}")
        connection.ok("RSET")
        connection.ok("QUIT")


@THEME.check("rfc1939-s5/rset", "RSET removes all marks")
def reset(context: ConformanceContext) -> None:
    sample = context.sample("plain")
    with context.open_session() as connection:
        number, count = context.find(sample, connection), context.count(connection)
        connection.ok(f"DELE {number}")
        connection.ok("RSET")
        require(context.count(connection) == count, "the message is still marked")
        connection.body(f"RETR {number}")
        connection.ok("QUIT")
    with context.open_session() as connection:
        context.find(sample, connection)


@THEME.check(
    "rfc1939-s6/only-quit-removes known-bug/delete-early implied/broken-connection",
    "a disconnect removes no message, even in the middle of QUIT",
)
def hung_up(context: ConformanceContext) -> None:
    sample = context.sample("plain")
    for ending in (b"", b"QUI"):
        with context.open_session() as connection:
            connection.ok(f"DELE {context.find(sample, connection)}")
            connection.send(ending)
    with context.open_session() as connection:
        context.find(sample, connection)


@THEME.check(
    "rfc1939-s6/quit-removes-marked known-bug/delete-early",
    "QUIT removes the marked messages and no others",
)
def removed(context: ConformanceContext) -> None:
    sample = context.sample("eight-bit")
    with context.open_session() as connection:
        number, count = context.find(sample, connection), context.count(connection)
        connection.ok(f"DELE {number}")
        connection.ok("QUIT")
    with context.open_session() as connection:
        require(sample.mark not in context.find_all(connection), "the message still exists")
        left = context.count(connection)
        require(left == count - 1, f"{count} messages became {left}")


@THEME.check("rfc1939-s6/quit-unlocks", "QUIT closes the connection and unlocks the maildrop")
def closed(context: ConformanceContext) -> None:
    with context.open_session() as connection:
        connection.ok("QUIT")
        require(connection.closes_within(), "the connection stays open")
    with context.open_session() as connection:
        connection.ok("QUIT")


@THEME.check(
    "rfc1939-s5/dele known-bug/number-zero",
    "DELE with an invalid number gets -ERR and marks nothing",
)
def no_number(context: ConformanceContext) -> None:
    with context.open_session() as connection:
        count = context.count(connection)
        for number in ("0", "-1", "x", "", "99999999"):
            answer = connection.say(f"DELE {number}".rstrip())
            if answer.startswith(b"+OK"):
                connection.ok("RSET")
            require(answer.startswith(b"-ERR"), f"DELE {number}: {quote(answer)}")
        require(context.count(connection) == count, "a message is marked")
        connection.ok("RSET")
