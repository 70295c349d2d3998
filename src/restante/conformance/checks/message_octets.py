"""Whether messages come back octet for octet: only with letters of this run's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.conformance.check import CheckGroup, NotTestable, require
from restante.conformance.raw_connection import unstuff

if TYPE_CHECKING:
    from restante.conformance.context import ConformanceContext

THEME = CheckGroup()


@THEME.check("rfc1939-s5/retr rfc1939-s3/multiline-end", "a plain message is returned unchanged")
def plain(bench: ConformanceContext) -> None:
    _compare(bench, "plain")


@THEME.check(
    "rfc1939-s3/dot-stuffing known-bug/first-dot",
    "a dot is stuffed at the first octet of a message",
)
def dot_first(bench: ConformanceContext) -> None:
    _need_exact(bench)
    _compare(bench, "dot-first")


@THEME.check("rfc1939-s3/dot-stuffing", "every line that begins with a dot is stuffed")
def dots(bench: ConformanceContext) -> None:
    _compare(bench, "dots")


@THEME.check(
    "rfc1939-s3/dot-stuffing known-bug/first-dot",
    "a dot is stuffed at the border of two chunks",
)
def border(bench: ConformanceContext) -> None:
    _compare(bench, "border")


@THEME.check("rfc1939-s3/dot-stuffing", "TOP stuffs dots, too")
def top_is_stuffed(bench: ConformanceContext) -> None:
    letter = bench.letter("dots")
    line = bench.session
    number = bench.find(letter, line)
    body = line.body(f"TOP {number} 1000000")
    wanted, came = _behind_header(letter.wire), _behind_header(body)
    require(came == wanted, _difference(came, wanted))


@THEME.check(
    "rfc1939-s11/size implied/line-ends known-bug/last-line-end",
    "a message without a last line end gets one, and LIST counts it",
)
def no_last_line_end(bench: ConformanceContext) -> None:
    _compare(bench, "no-last-line-end")


@THEME.check(
    "rfc1939-s3/multiline-end implied/line-ends known-bug/stored-crlf",
    "a message stored with CR LF is returned with CR LF",
)
def crlf(bench: ConformanceContext) -> None:
    _compare(bench, "crlf")


@THEME.check(
    "rfc1939-s3/multiline-end implied/line-ends known-bug/stored-crlf",
    "a lone CR in a message is returned unchanged",
)
def lone_cr(bench: ConformanceContext) -> None:
    _compare(bench, "lone-cr")


@THEME.check(
    "rfc1939-s5/retr policy/empty-message",
    "a message with an empty body is returned unchanged",
)
def empty_body(bench: ConformanceContext) -> None:
    _compare(bench, "empty-body")


@THEME.check(
    "rfc1939-s5/retr policy/empty-message",
    "a message without a body is returned unchanged",
)
def header_only(bench: ConformanceContext) -> None:
    _need_exact(bench)
    _compare(bench, "header-only")


@THEME.check("rfc1939-s5/retr", "octets above 127 are returned unchanged")
def eight_bit(bench: ConformanceContext) -> None:
    _compare(bench, "eight-bit")


@THEME.check("rfc1939-s5/retr", "a line of 70,000 octets is returned whole")
def long_line(bench: ConformanceContext) -> None:
    _compare(bench, "long-line")


@THEME.check("rfc1939-s7/unique-id-not-reused", "two identical messages have two unique-ids")
def twins(bench: ConformanceContext) -> None:
    letter = bench.letter("twin")
    line = bench.session
    numbers = bench.find_all(line).get(letter.mark, [])
    if len(numbers) < 2:
        raise NotTestable("the server stores only one of two identical messages")
    uids = [line.ok(f"UIDL {number}").split()[2] for number in numbers]
    require(uids[0] != uids[1], f"both have the unique-id {uids[0].decode('latin-1')}")


def _need_exact(bench: ConformanceContext) -> None:
    if bench.deliver is not None and not bench.deliver.exact:
        raise NotTestable("this delivery changes the message; use --maildir")


def _compare(bench: ConformanceContext, name: str) -> None:
    """Retrieve a letter, compare its octets with what they must be, and their number with LIST's.

    Where the way of delivery adds headers, only what is behind the header can be compared.
    """
    letter = bench.letter(name)
    line = bench.session
    number = bench.find(letter, line)
    listed = int(line.ok(f"LIST {number}").split()[2])
    body = line.body(f"RETR {number}")
    octets = len(unstuff(body))
    wanted, came = letter.wire, body
    if bench.deliver is not None and not bench.deliver.exact:
        wanted, came = _behind_header(wanted), _behind_header(body)
    require(came == wanted, _difference(came, wanted))
    require(listed == octets, f"LIST gives {listed} octets, RETR sends {octets}")


def _behind_header(body: bytes) -> bytes:
    return body.partition(b"\r\n\r\n")[2]


def _difference(body: bytes, wire: bytes) -> str:
    """Say where two bodies part."""
    place = next(
        (i for i, (a, b) in enumerate(zip(body, wire, strict=False)) if a != b),
        min(len(body), len(wire)),
    )
    came, wanted = body[place : place + 24], wire[place : place + 24]
    return f"at octet {place}: {came!r} instead of {wanted!r}"
