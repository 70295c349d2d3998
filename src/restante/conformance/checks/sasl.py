"""AUTH: the frame of SASL, without a right or wrong password in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.conformance.check import CheckGroup, NotTestable, require
from restante.conformance.raw_connection import quote

if TYPE_CHECKING:
    from restante.conformance.context import ConformanceContext
    from restante.conformance.raw_connection import RawConnection

THEME = CheckGroup()


@THEME.check("rfc5034-s4/unknown-mechanism", "AUTH with an unknown mechanism gets -ERR")
def unknown_mechanism(bench: ConformanceContext) -> None:
    _offered(bench)
    with bench.open_connection() as line:
        line.err("AUTH X-NOBODY-HAS-IT")


@THEME.check(
    "rfc5034-s4/challenge known-bug/empty-challenge",
    "an empty challenge is plus, space, CR LF",
)
def empty_challenge(bench: ConformanceContext) -> None:
    with bench.open_connection() as line:
        answer = _begin(bench, line)
        require(answer == b"+ \r\n", quote(answer))


@THEME.check("rfc5034-s4/cancel", "a client can cancel AUTH with *, which gets -ERR")
def given_up(bench: ConformanceContext) -> None:
    with bench.open_connection() as line:
        _begin(bench, line)
        line.err("*")
        line.alive()


@THEME.check("rfc5034-s4/base64", "AUTH rejects invalid base64 with -ERR")
def no_base64(bench: ConformanceContext) -> None:
    with bench.open_connection() as line:
        _begin(bench, line)
        line.err("!!!!")


@THEME.check("rfc5034-s5/case", "names of mechanisms may be in any case")
def any_case(bench: ConformanceContext) -> None:
    if "PLAIN" not in _offered(bench):
        raise NotTestable("PLAIN is not offered")
    with bench.open_connection() as line:
        answer = line.say("auth plain")
        require(answer.startswith(b"+ "), quote(answer))


def _offered(bench: ConformanceContext) -> list[str]:
    for entry in bench.before:
        tag, _, mechanisms = entry.partition(" ")
        if tag.upper() == "SASL":
            return mechanisms.upper().split()
    raise NotTestable("SASL is not offered")


def _begin(bench: ConformanceContext, line: RawConnection) -> bytes:
    """Begin a login that ends before anybody says a password."""
    if "PLAIN" not in _offered(bench):
        raise NotTestable("PLAIN is not offered")
    answer = line.say("AUTH PLAIN")
    require(answer.startswith(b"+") and not answer.startswith(b"+OK"), quote(answer))
    return answer
