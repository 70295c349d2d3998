"""Whether messages come back octet for octet: only with samples of this run's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.conformance.check import CheckGroup, NotTestable, require
from restante.conformance.raw_connection import unstuff

if TYPE_CHECKING:
    from restante.conformance.context import ConformanceContext

GROUP = CheckGroup()


@GROUP.check("rfc1939-s5/retr rfc1939-s3/multiline-end", "a plain message is returned unchanged")
def plain(context: ConformanceContext) -> None:
    _compare(context, "plain")


@GROUP.check(
    "rfc1939-s3/dot-stuffing known-bug/first-dot",
    "a dot is stuffed at the first octet of a message",
)
def dot_first(context: ConformanceContext) -> None:
    _need_exact(context)
    _compare(context, "dot-first")


@GROUP.check("rfc1939-s3/dot-stuffing", "every line that begins with a dot is stuffed")
def dots(context: ConformanceContext) -> None:
    _compare(context, "dots")


@GROUP.check(
    "rfc1939-s3/dot-stuffing known-bug/first-dot",
    "a dot is stuffed at the border of two chunks",
)
def border(context: ConformanceContext) -> None:
    _compare(context, "border")


@GROUP.check("rfc1939-s3/dot-stuffing", "TOP stuffs dots, too")
def top_is_stuffed(context: ConformanceContext) -> None:
    sample = context.sample("dots")
    connection = context.session
    number = context.find_sample(sample, connection)
    context.require_top(connection.exchange(f"TOP {number} 1000000"))
    body = connection.read_body()
    expected, received = _without_header(sample.wire), _without_header(body)
    require(received == expected, _difference(received, expected))


@GROUP.check(
    "rfc1939-s11/size implied/line-ends known-bug/last-line-end",
    "a message without a last line end gets one, and LIST counts it",
)
def no_last_line_end(context: ConformanceContext) -> None:
    _compare(context, "no-last-line-end")


@GROUP.check(
    "rfc1939-s3/multiline-end implied/line-ends known-bug/stored-crlf",
    "a message stored with CR LF is returned with CR LF",
)
def crlf(context: ConformanceContext) -> None:
    _compare(context, "crlf")


@GROUP.check(
    "rfc1939-s3/multiline-end implied/line-ends known-bug/stored-crlf",
    "a lone CR in a message is returned unchanged",
)
def lone_cr(context: ConformanceContext) -> None:
    _need_exact(context)  # RFC 5321 section 2.3.8 does not allow it in SMTP, nor in LMTP
    _compare(context, "lone-cr")


@GROUP.check(
    "rfc1939-s5/retr policy/empty-message",
    "a message with an empty body is returned unchanged",
)
def empty_body(context: ConformanceContext) -> None:
    _compare(context, "empty-body")


@GROUP.check(
    "rfc1939-s5/retr policy/empty-message",
    "a message without a body is returned unchanged",
)
def header_only(context: ConformanceContext) -> None:
    _need_exact(context)
    _compare(context, "header-only")


@GROUP.check("rfc1939-s5/retr", "octets above 127 are returned unchanged")
def eight_bit(context: ConformanceContext) -> None:
    _compare(context, "eight-bit")


@GROUP.check("rfc1939-s5/retr", "a line of 70,000 octets is returned whole")
def long_line(context: ConformanceContext) -> None:
    _compare(context, "long-line")


@GROUP.check("rfc1939-s7/unique-id-not-reused", "two identical messages have two unique-ids")
def twins(context: ConformanceContext) -> None:
    sample = context.sample("twin")
    connection = context.session
    numbers = context.find_samples(connection).get(sample.mark, [])
    if len(numbers) < 2:
        raise NotTestable("the server stores only one of two identical messages")
    uids = [connection.expect_ok(f"UIDL {number}").split()[2] for number in numbers]
    if uids[0] == uids[1]:
        bodies = [connection.fetch_body(f"RETR {number}") for number in numbers[:2]]
        shared = f'both have the unique-id "{uids[0].decode("latin-1")}"'
        require(bodies[0] == bodies[1], f"{shared}, and different header fields")
        raise NotTestable(f"{shared}, as a hash of the message does")


def _need_exact(context: ConformanceContext) -> None:
    if context.deliver is not None and not context.deliver.exact:
        raise NotTestable("this delivery changes the message; use --maildir")


def _compare(context: ConformanceContext, name: str) -> None:
    """Retrieve a sample, compare its octets with what they must be, and their number with LIST's.

    If the delivery adds header fields, only the body is compared.
    """
    sample = context.sample(name)
    connection = context.session
    number = context.find_sample(sample, connection)
    listed = int(connection.expect_ok(f"LIST {number}").split()[2])
    body = connection.fetch_body(f"RETR {number}")
    octets = len(unstuff(body))
    expected, received = sample.wire, body
    if context.deliver is not None and not context.deliver.exact:
        expected, received = _without_header(expected), _without_header(body)
    require(received == expected, _difference(received, expected))
    require(listed == octets, f"LIST gives {listed} octets, RETR sends {octets}")


def _without_header(body: bytes) -> bytes:
    return body.partition(b"\r\n\r\n")[2]


def _difference(body: bytes, wire: bytes) -> str:
    """Return the first place at which two bodies differ."""
    place = next(
        (i for i, (a, b) in enumerate(zip(body, wire, strict=False)) if a != b),
        min(len(body), len(wire)),
    )
    received, expected = body[place : place + 24], wire[place : place + 24]
    return f"at octet {place}: {received!r} instead of {expected!r}"
