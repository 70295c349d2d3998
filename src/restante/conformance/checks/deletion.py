"""DELE, RSET and QUIT: only on samples of this run's own."""

from __future__ import annotations

import contextlib
from itertools import zip_longest
from typing import TYPE_CHECKING

from restante.conformance.check import CheckGroup, Deviation, NotTestable, require
from restante.conformance.raw_connection import quote

if TYPE_CHECKING:
    from restante.conformance.context import ConformanceContext

GROUP = CheckGroup()


@GROUP.check(
    "rfc1939-s5/dele known-bug/marked-visible",
    "a marked message is gone from STAT, LIST, UIDL, RETR and TOP",
)
def marked(context: ConformanceContext) -> None:
    sample, lists = context.sample("plain"), ["LIST"]
    with contextlib.suppress(NotTestable):
        context.list_unique_ids()
        lists.append("UIDL")
    with context.open_session() as connection:
        number, count = context.find_sample(sample, connection), context.count_messages(connection)
        connection.expect_ok(f"DELE {number}")
        require(context.count_messages(connection) == count - 1, f"STAT still counts {count}")
        for command in lists:
            numbers = [int(entry.split()[0]) for entry in connection.fetch_lines(command)]
            require(number not in numbers, f"{command} still lists message {number}")
        for command in (f"RETR {number}", f"TOP {number} 0", f"LIST {number}", f"DELE {number}"):
            answer = connection.exchange(command)
            if answer.startswith(b"+OK"):
                connection.read_rest()
            require(answer.startswith(b"-ERR"), f"{command}: {quote(answer)}")
        connection.expect_ok("RSET")
        connection.expect_ok("QUIT")


@GROUP.check(
    "rfc1939-s4/numbering known-bug/marked-visible",
    "marking a message does not change other numbers",
)
def numbers_stay(context: ConformanceContext) -> None:
    sample = context.sample("plain")
    context.list_unique_ids()
    with context.open_session() as connection:
        number = context.find_sample(sample, connection)
        entries = connection.fetch_lines("UIDL")
        marked = [entry for entry in entries if int(entry.split()[0]) == number]
        connection.expect_ok(f"DELE {number}")
        before, after = (  # a server that still lists it fails the check above, not this one
            [entry for entry in some if entry not in marked]
            for some in (entries, connection.fetch_lines("UIDL"))
        )
        pairs = zip_longest(before, after, fillvalue="nothing")
        one, other = next((pair for pair in pairs if pair[0] != pair[1]), ("", ""))
        require(before == after, f'"{one}" became "{other}"')
        connection.expect_ok("RSET")
        connection.expect_ok("QUIT")


@GROUP.check("rfc1939-s5/rset", "RSET removes all marks")
def reset(context: ConformanceContext) -> None:
    sample = context.sample("plain")
    with context.open_session() as connection:
        number, count = context.find_sample(sample, connection), context.count_messages(connection)
        connection.expect_ok(f"DELE {number}")
        connection.expect_ok("RSET")
        require(context.count_messages(connection) == count, "the message is still marked")
        connection.fetch_body(f"RETR {number}")
        connection.expect_ok("QUIT")
    with context.open_session() as connection:
        context.find_sample(sample, connection)


@GROUP.check(
    "rfc1939-s6/only-quit-removes known-bug/delete-early implied/broken-connection",
    "a disconnect removes no message, even in the middle of QUIT",
)
def hung_up(context: ConformanceContext) -> None:
    sample = context.sample("plain")
    for ending in (b"", b"QUI"):
        with context.open_session() as connection:
            connection.expect_ok(f"DELE {context.find_sample(sample, connection)}")
            connection.send(ending)
    with context.open_session() as connection:
        context.find_sample(sample, connection)


@GROUP.check(
    "rfc1939-s6/quit-removes-marked known-bug/delete-early",
    "QUIT removes the marked messages and no others",
)
def removed(context: ConformanceContext) -> None:
    sample = context.sample("eight-bit")
    with context.open_session() as connection:
        number, count = context.find_sample(sample, connection), context.count_messages(connection)
        connection.expect_ok(f"DELE {number}")
        connection.expect_ok("QUIT")
    with context.open_session() as connection:
        require(sample.mark not in context.find_samples(connection), "the message still exists")
        left = context.count_messages(connection)
        require(left >= count - 1, f"{count} messages became {left}")  # new mail may have come


@GROUP.check(
    "rfc1939-s7/unique-id-not-reused",
    "a new message does not get the unique-id of a removed one",
)
def not_reused(context: ConformanceContext) -> None:
    context.list_unique_ids()
    removed = _deliver_and_identify(context, "plain", remove=True)
    new = _deliver_and_identify(context, "dots")  # another text: an id may be a hash of it
    require(new != removed, f'it got the unique-id of the message removed before it, "{new}"')


@GROUP.check("rfc1939-s6/quit-unlocks", "QUIT closes the connection and unlocks the maildrop")
def closed(context: ConformanceContext) -> None:
    with context.open_session() as connection:
        connection.expect_ok("QUIT")
        require(connection.closes_within(), "the connection stays open")
    with context.open_connection() as connection:
        context.log_in(connection)
        connection.expect_ok("QUIT")


@GROUP.check(
    "rfc1939-s5/dele known-bug/number-zero",
    "DELE with an invalid number gets -ERR and marks nothing",
)
def no_number(context: ConformanceContext) -> None:
    for number in ("0", "-1", "x", "", "99999999"):
        connection = context.session
        count = context.count_messages(connection)
        answer = connection.exchange(f"DELE {number}".rstrip())
        if not connection.is_ending() and context.count_messages(connection) != count:
            connection.expect_ok("RSET")
            raise Deviation(f"DELE {number} marks a message: {quote(answer)}")
        require(answer.startswith(b"-ERR"), f"DELE {number}: {quote(answer)}")


def _deliver_and_identify(context: ConformanceContext, name: str, *, remove: bool = False) -> str:
    """Deliver one more copy of a sample, and return its unique-id. With `remove`, remove it."""
    sample = context.deliver_again(name)
    with context.open_session() as connection:
        number = max(context.find_copies(sample, connection))
        answer = connection.expect_ok(f"UIDL {number}").decode("latin-1")
        if remove:
            connection.expect_ok(f"DELE {number}")
        connection.expect_ok("QUIT")
    return answer.split()[2]
