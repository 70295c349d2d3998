"""DELE, RSET and QUIT: only on letters of this run's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.conformance.check import CheckGroup, require
from restante.conformance.raw_connection import quote

if TYPE_CHECKING:
    from restante.conformance.context import ConformanceContext

THEME = CheckGroup()


@THEME.check("R1939-5.4 T6", "a marked message is gone from STAT, LIST, UIDL, RETR and TOP")
def marked(bench: ConformanceContext) -> None:
    letter = bench.letter("plain")
    with bench.logged_in() as line:
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


@THEME.check("R1939-4.5 T6", "numbers do not move up when a message is marked")
def numbers_stay(bench: ConformanceContext) -> None:
    letter = bench.letter("plain")
    with bench.logged_in() as line:
        number = bench.find(letter, line)
        before = [entry for entry in line.lines("UIDL") if int(entry.split()[0]) != number]
        line.ok(f"DELE {number}")
        after = line.lines("UIDL")
        require(before == after, f"{before[-1:]} became {after[-1:]}")
        line.ok("RSET")
        line.ok("QUIT")


@THEME.check("R1939-5.6", "RSET takes the marks away")
def reset(bench: ConformanceContext) -> None:
    letter = bench.letter("plain")
    with bench.logged_in() as line:
        number, count = bench.find(letter, line), bench.count(line)
        line.ok(f"DELE {number}")
        line.ok("RSET")
        require(bench.count(line) == count, "the message is not back")
        line.body(f"RETR {number}")
        line.ok("QUIT")
    with bench.logged_in() as line:
        bench.find(letter, line)


@THEME.check("R1939-6.1 T7 D5", "hanging up removes nothing, not even behind half a QUIT")
def hung_up(bench: ConformanceContext) -> None:
    letter = bench.letter("plain")
    for ending in (b"", b"QUI"):
        with bench.logged_in() as line:
            line.ok(f"DELE {bench.find(letter, line)}")
            line.send(ending)
    with bench.logged_in() as line:
        bench.find(letter, line)


@THEME.check("R1939-6.2 T7", "QUIT removes what was marked, and only that")
def removed(bench: ConformanceContext) -> None:
    letter = bench.letter("eight-bit")
    with bench.logged_in() as line:
        number, count = bench.find(letter, line), bench.count(line)
        line.ok(f"DELE {number}")
        line.ok("QUIT")
    with bench.logged_in() as line:
        require(letter.mark not in bench.find_all(line), "it is still there")
        require(bench.count(line) == count - 1, f"{count} messages became {bench.count(line)}")


@THEME.check("R1939-6.3", "QUIT closes the connection and lets go of the maildrop")
def closed(bench: ConformanceContext) -> None:
    with bench.logged_in() as line:
        line.ok("QUIT")
        require(line.closed(), "it stays open")
    with bench.logged_in() as line:
        line.ok("QUIT")


@THEME.check("R1939-5.4 T5", "DELE of a number that is none gets -ERR and marks nothing")
def no_number(bench: ConformanceContext) -> None:
    with bench.logged_in() as line:
        count = bench.count(line)
        for number in ("0", "-1", "x", "", "99999999"):
            answer = line.say(f"DELE {number}".rstrip())
            if answer.startswith(b"+OK"):
                line.ok("RSET")
            require(answer.startswith(b"-ERR"), f"DELE {number}: {quote(answer)}")
        require(bench.count(line) == count, "something is marked")
        line.ok("RSET")
