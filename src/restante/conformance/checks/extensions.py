"""The capabilities that CAPA announces, tried."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from restante.conformance.check import CheckGroup, NotTestable, require
from restante.conformance.raw_connection import quote

if TYPE_CHECKING:
    from restante.conformance.context import ConformanceContext

GROUP = CheckGroup()

ONLY_BEFORE = ("STLS",)
"""Capabilities that may be announced before a login only, by their registration."""


@GROUP.check(
    "rfc2449-s5/same-after-login rfc5034-s3/sasl-capability known-bug/capa",
    "CAPA lists the same capabilities before and after login",
)
def both_states(context: ConformanceContext) -> None:
    if not context.capabilities_before:
        raise NotTestable("the server does not support CAPA")
    after = _tags(context.session.fetch_lines("CAPA"))
    lost = sorted(_tags(context.capabilities_before) - after - set(ONLY_BEFORE))
    lost = [tag for tag in lost if not tag.startswith("X")]  # no RFC says where they belong
    require(not lost, f"missing after login: {', '.join(lost)}")


@GROUP.check(
    "rfc2449-s5/same-after-login known-bug/capa",
    "capabilities for use before login are announced before login",
)
def announced_early(context: ConformanceContext) -> None:
    only_after = _tags(context.capabilities_after) - _tags(context.capabilities_before)
    late = sorted(only_after & {"TOP", "UIDL", "USER", "SASL", "RESP-CODES", "PIPELINING"})
    require(not late, f"announced only after login: {', '.join(late)}")


@GROUP.check("rfc2449-s6.6/pipelining", "pipelined commands are answered in order")
def pipelining(context: ConformanceContext) -> None:
    if "PIPELINING" not in context.capabilities_before + context.capabilities_after:
        raise NotTestable("PIPELINING is not announced")
    connection = context.session
    connection.send(b"NOOP\r\nSTAT\r\nLIST 99999999\r\nNOOP\r\n", "four commands at once")
    answers = [connection.read_status() for _ in range(4)]
    signs = [answer[:1] for answer in answers]
    require(signs == [b"+", b"+", b"-", b"+"], " ".join(map(quote, answers)))


@GROUP.check("rfc6856-s2/utf8", "UTF8 is accepted before login, if announced")
def utf8(context: ConformanceContext) -> None:
    if not any(entry.upper().startswith("UTF8") for entry in context.capabilities_before):
        raise NotTestable("UTF8 is not announced")
    with context.open_connection() as connection:
        connection.expect_ok("UTF8")
    answer = context.session.exchange("UTF8")
    require(answer.startswith(b"-ERR"), f"after a login: {quote(answer)}")


@GROUP.check("rfc6856-s3/lang", "LANG lists languages and accepts *")
def lang(context: ConformanceContext) -> None:
    if not any(entry.upper() == "LANG" for entry in context.capabilities_before):
        raise NotTestable("LANG is not announced")
    with context.open_connection() as connection:
        connection.fetch_body("LANG")
        connection.expect_ok("LANG *")
        connection.expect_err("LANG x-nobody-speaks-it")


@GROUP.check("rfc2449-s6.7/expire", "EXPIRE has a number of days or NEVER")
def expire(context: ConformanceContext) -> None:
    found = [line for line in context.capabilities_before if line.upper().startswith("EXPIRE")]
    if not found:
        raise NotTestable("EXPIRE is not announced")
    require(re.match(r"EXPIRE ([0-9]+|NEVER)(?: |$)", found[0], re.IGNORECASE), f'"{found[0]}"')


def _tags(capabilities: list[str]) -> set[str]:
    return {line.split(" ")[0].upper() for line in capabilities}
