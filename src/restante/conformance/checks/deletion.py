"""DELE, RSET and QUIT: only on letters of this run's own."""

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
def marked(bench: ConformanceContext) -> None:
    letter = bench.letter("plain")
    with bench.open_session() as line:
        number, count = bench.find(letter, line), bench.count(line)
        line.ok(f"DELE {number}")
        require(bench.count(line) == count - 1, f"STAT still counts {count}")
        for command in ("LIST", "UIDL"):
            numbers = [int(entry.split()[0]) for entry in line.lines(command)]
            require(number not in numbers, f"{command} still lists message {number}")
        for command in (f"RETR {number}", f"TOP {number} 0", f"LIST {number}", f"DELE {number}"):
            answer = line.say(command)
            if answer.startswith(b"+OK"):
                line.more()
            require(answer.startswith(b"-ERR"), f"{command}: {quote(answer)}")
        line.ok("RSET")
        line.ok("QUIT")


@THEME.check(
    "rfc1939-s4/numbering known-bug/marked-visible",
    "marking a message does not change other numbers",
)
def numbers_stay(bench: ConformanceContext) -> None:
    letter = bench.letter("plain")
    with bench.open_session() as line:
        number = bench.find(letter, line)
        before = [entry for entry in line.lines("UIDL") if int(entry.split()[0]) != number]
        line.ok(f"DELE {number}")
        after = line.lines("UIDL")
        require(before == after, f"{before[-1:]} became {after[-1:]}")
        line.ok("RSET")
        line.ok("QUIT")


@THEME.check("rfc1939-s5/rset", "RSET removes all marks")
def reset(bench: ConformanceContext) -> None:
    letter = bench.letter("plain")
    with bench.open_session() as line:
        number, count = bench.find(letter, line), bench.count(line)
        line.ok(f"DELE {number}")
        line.ok("RSET")
        require(bench.count(line) == count, "the message is still marked")
        line.body(f"RETR {number}")
        line.ok("QUIT")
    with bench.open_session() as line:
        bench.find(letter, line)


@THEME.check(
    "rfc1939-s6/only-quit-removes known-bug/delete-early implied/broken-connection",
    "a disconnect removes no message, even in the middle of QUIT",
)
def hung_up(bench: ConformanceContext) -> None:
    letter = bench.letter("plain")
    for ending in (b"", b"QUI"):
        with bench.open_session() as line:
            line.ok(f"DELE {bench.find(letter, line)}")
            line.send(ending)
    with bench.open_session() as line:
        bench.find(letter, line)


@THEME.check(
    "rfc1939-s6/quit-removes-marked known-bug/delete-early",
    "QUIT removes the marked messages and no others",
)
def removed(bench: ConformanceContext) -> None:
    letter = bench.letter("eight-bit")
    with bench.open_session() as line:
        number, count = bench.find(letter, line), bench.count(line)
        line.ok(f"DELE {number}")
        line.ok("QUIT")
    with bench.open_session() as line:
        require(letter.mark not in bench.find_all(line), "the message still exists")
        require(bench.count(line) == count - 1, f"{count} messages became {bench.count(line)}")


@THEME.check("rfc1939-s6/quit-unlocks", "QUIT closes the connection and unlocks the maildrop")
def closed(bench: ConformanceContext) -> None:
    with bench.open_session() as line:
        line.ok("QUIT")
        require(line.closes_within(), "the connection stays open")
    with bench.open_session() as line:
        line.ok("QUIT")


@THEME.check(
    "rfc1939-s5/dele known-bug/number-zero",
    "DELE with an invalid number gets -ERR and marks nothing",
)
def no_number(bench: ConformanceContext) -> None:
    with bench.open_session() as line:
        count = bench.count(line)
        for number in ("0", "-1", "x", "", "99999999"):
            answer = line.say(f"DELE {number}".rstrip())
            if answer.startswith(b"+OK"):
                line.ok("RSET")
            require(answer.startswith(b"-ERR"), f"DELE {number}: {quote(answer)}")
        require(bench.count(line) == count, "a message is marked")
        line.ok("RSET")
