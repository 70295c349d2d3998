"""AUTH: the frame of SASL, without a right or wrong password in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.conformance.check import CheckGroup, NotTestable, require
from restante.conformance.raw_connection import is_challenge, quote

if TYPE_CHECKING:
    from restante.conformance.context import ConformanceContext
    from restante.conformance.raw_connection import RawConnection

GROUP = CheckGroup()


@GROUP.check("rfc5034-s4/unknown-mechanism", "AUTH with an unknown mechanism gets -ERR")
def unknown_mechanism(context: ConformanceContext) -> None:
    _offered_mechanisms(context)
    with context.open_connection() as connection:
        connection.expect_err("AUTH X-NOBODY-HAS-IT")


@GROUP.check(
    "rfc5034-s4/challenge known-bug/empty-challenge",
    "an empty challenge is plus, space, CR LF",
)
def empty_challenge(context: ConformanceContext) -> None:
    with context.open_connection() as connection:
        answer = _begin(context, connection)
        require(answer == b"+ \r\n", quote(answer))


@GROUP.check("rfc5034-s4/cancel", "a client can cancel AUTH with *, which gets -ERR")
def given_up(context: ConformanceContext) -> None:
    with context.open_connection() as connection:
        _begin(context, connection)
        connection.expect_err("*")
        connection.expect_reply()


@GROUP.check("rfc5034-s4/base64", "AUTH rejects invalid base64 with -ERR")
def no_base64(context: ConformanceContext) -> None:
    with context.open_connection() as connection:
        _begin(context, connection)
        connection.expect_err("!!!!")


@GROUP.check("rfc5034-s5/case", "names of mechanisms may be in any case")
def any_case(context: ConformanceContext) -> None:
    with context.open_connection() as connection:
        _begin(context, connection, "auth plain")


def _offered_mechanisms(context: ConformanceContext) -> list[str]:
    for entry in context.capabilities_before:
        tag, _, mechanisms = entry.partition(" ")
        if tag.upper() == "SASL":
            return mechanisms.upper().split()
    raise NotTestable("SASL is not offered")


def _begin(
    context: ConformanceContext, connection: RawConnection, command: str = "AUTH PLAIN"
) -> bytes:
    """Begin AUTH PLAIN, without a response, and return the challenge."""
    if "PLAIN" not in _offered_mechanisms(context):
        raise NotTestable("PLAIN is not offered")
    answer = connection.exchange(command)
    require(is_challenge(answer), quote(answer))
    return answer
