"""What CAPA announces, done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.conformance.check import CheckGroup, NotTestable, require
from restante.conformance.raw_connection import quote

if TYPE_CHECKING:
    from restante.conformance.context import ConformanceContext

THEME = CheckGroup()

ONLY_BEFORE = ("STLS",)
"""What may be announced before a login only, by its registration."""


@THEME.check("R2449-5.2 R5034-3.1 T4", "what CAPA lists before a login it lists after it")
def both_states(bench: ConformanceContext) -> None:
    if not bench.before:
        raise NotTestable("the server has no CAPA (RFC 2449)")
    bench.after = bench.session.lines("CAPA")
    before = {entry.split(" ")[0].upper() for entry in bench.before} - set(ONLY_BEFORE)
    lost = sorted(before - {entry.split(" ")[0].upper() for entry in bench.after})
    require(not lost, f"lost: {', '.join(lost)}")


@THEME.check("R2449-5.2 T4", "what is there before a login is announced there")
def announced_early(bench: ConformanceContext) -> None:
    after = {entry.split(" ")[0].upper() for entry in bench.after}
    before = {entry.split(" ")[0].upper() for entry in bench.before}
    late = sorted((after - before) & {"TOP", "UIDL", "USER", "SASL", "RESP-CODES", "PIPELINING"})
    require(not late, f"only after it: {', '.join(late)}")


@THEME.check("R2449-6.6", "commands sent ahead are answered in their order")
def pipelining(bench: ConformanceContext) -> None:
    if "PIPELINING" not in bench.before + bench.after:
        raise NotTestable("PIPELINING is not announced")
    line = bench.session
    line.send(b"NOOP\r\nSTAT\r\nXYZZY\r\nNOOP\r\n", "four commands at once")
    answers = [line.status() for _ in range(4)]
    signs = [answer[:1] for answer in answers]
    require(signs == [b"+", b"+", b"-", b"+"], " ".join(map(quote, answers)))


@THEME.check("R6856-2.1", "UTF8 is taken before a login, where it is announced")
def utf8(bench: ConformanceContext) -> None:
    if not any(entry.upper().startswith("UTF8") for entry in bench.before):
        raise NotTestable("UTF8 is not announced")
    with bench.connected() as line:
        line.ok("UTF8")
    answer = bench.session.say("UTF8")
    require(answer.startswith(b"-ERR"), f"after a login: {quote(answer)}")


@THEME.check("R6856-3.1", "LANG lists languages, and takes *")
def lang(bench: ConformanceContext) -> None:
    if not any(entry.upper() == "LANG" for entry in bench.before):
        raise NotTestable("LANG is not announced")
    with bench.connected() as line:
        line.body("LANG")
        line.ok("LANG *")
        answer = line.say("LANG x-nobody-speaks-it")
        require(answer.startswith(b"-ERR"), quote(answer))


@THEME.check("R2449-6.7", "EXPIRE has a number of days or NEVER")
def expire(bench: ConformanceContext) -> None:
    found = [entry.split()[1:] for entry in bench.before if entry.upper().startswith("EXPIRE")]
    if not found:
        raise NotTestable("EXPIRE is not announced")
    require(found[0] and (found[0][0] == "NEVER" or found[0][0].isdigit()), str(found[0]))
