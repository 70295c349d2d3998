"""The commands on mail that change nothing."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from restante.conformance.check import CheckGroup, NotTestable, require
from restante.conformance.raw_connection import LIMIT, ClosedError, quote, unstuff
from restante.conformance.sample_messages import build_sample

if TYPE_CHECKING:
    from restante.conformance.context import ConformanceContext

GROUP = CheckGroup()

LISTED = re.compile(r"([0-9]+) ([0-9]+)(?: |$)")  # a line of LIST

NO_NUMBERS = ("0", "-1", "+1", "1_0", "x", "1x", "99999999", "4294967297", "9" * 40)


@GROUP.check("rfc1939-s5/stat", "STAT replies +OK and two numbers")
def stat(context: ConformanceContext) -> None:
    answer = context.session.expect_ok("STAT")
    require(re.match(rb"\+OK \d+ \d+(?: |\r\n)", answer), quote(answer))


@GROUP.check("rfc1939-s5/list known-bug/large-sums", "STAT agrees with LIST on count and octets")
def totals(context: ConformanceContext) -> None:
    connection = context.session
    count, octets = map(int, connection.expect_ok("STAT").split()[1:3])
    sizes = [int(entry.split()[1]) for entry in connection.fetch_lines("LIST")]
    require(
        (count, octets) == (len(sizes), sum(sizes)), f"{count} {octets}; {len(sizes)} {sum(sizes)}"
    )


@GROUP.check("rfc1939-s5/list", "LIST n agrees with LIST, whose lines have a number and a size")
def list_one(context: ConformanceContext) -> None:
    connection = context.need_messages()
    lines = connection.fetch_lines("LIST")
    odd = [line for line in lines if not LISTED.match(line)]
    require(not odd, f'"{odd[0]}"' if odd else "")
    entry = lines[0]
    answer = connection.expect_ok(f"LIST {entry.split()[0]}").decode("latin-1").split()
    require(answer[1:3] == entry.split()[:2], f"{entry}; {' '.join(answer)}")


@GROUP.check("rfc1939-s4/numbering", "messages are numbered from 1 without a gap")
def numbered(context: ConformanceContext) -> None:
    connection = context.need_messages()
    found = [int(entry.split()[0]) for entry in connection.fetch_lines("LIST")]
    require(found == list(range(1, len(found) + 1)), str(found[:20]))


@GROUP.check("rfc1939-s5/retr rfc1939-s11/size", "RETR sends as many octets as LIST gives")
def retrieved_size(context: ConformanceContext) -> None:
    connection = context.need_messages()
    for number, size in _readable(context)[:10]:
        octets = len(unstuff(connection.fetch_body(f"RETR {number}")))
        require(octets == size, f"message {number}: LIST {size}, RETR {octets}")


@GROUP.check(
    "rfc1939-s5/retr known-bug/number-zero",
    "LIST, RETR and TOP reject invalid and unknown numbers with -ERR",
)
def no_numbers(context: ConformanceContext) -> None:
    for command in ("LIST", "RETR", "TOP"):
        for number in NO_NUMBERS:
            connection = context.session
            sent = f"{command} {number}" + (" 0" if command == "TOP" else "")
            answer = connection.exchange(sent)
            if answer.startswith(b"+OK"):
                connection.read_rest()
            require(answer.startswith(b"-ERR"), f"{sent}: {quote(answer)}")


@GROUP.check("rfc1939-s5/retr", "RETR without a number gets -ERR")
def retr_alone(context: ConformanceContext) -> None:
    answer = context.session.exchange("RETR")
    require(answer.startswith(b"-ERR"), quote(answer))


@GROUP.check(
    "rfc1939-s7/top known-bug/top-lines",
    "TOP n 0 sends the header and its empty line only",
)
def top_nothing(context: ConformanceContext) -> None:
    number, whole = _whole(context)
    top, expected = unstuff(_top(context, number, 0)), _split(whole)[0]
    require(top == expected, f"{len(top)} octets instead of {len(expected)}")


@GROUP.check("rfc1939-s7/top known-bug/top-lines", "TOP n k counts body lines, not header lines")
def top_lines(context: ConformanceContext) -> None:
    number, whole = _whole(context)
    head, body = _split(whole)
    if not body:
        raise NotTestable(f"message {number} has no body")
    expected = head + body.partition(b"\n")[0] + b"\n"
    top = unstuff(_top(context, number, 1))
    require(top == expected, f"{len(top)} octets instead of {len(expected)}")


@GROUP.check("rfc1939-s7/top", "TOP with more lines than the body has sends the whole message")
def top_everything(context: ConformanceContext) -> None:
    number, whole = _whole(context)
    top = unstuff(_top(context, number, 1_000_000))
    require(top == whole, f"{len(top)} octets instead of {len(whole)}")


@GROUP.check(
    "rfc1939-s7/uidl rfc1939-s7/unique-id",
    "UIDL gives each message a unique-id of 1 to 70 printable characters",
)
def unique_ids(context: ConformanceContext) -> None:
    connection = context.need_messages()
    count, lines = len(connection.fetch_lines("LIST")), context.list_unique_ids()
    require(len(lines) == count, f"{len(lines)} unique-ids for {count} messages")
    for entry in lines:
        _, _, uid = entry.partition(" ")
        good = 1 <= len(uid) <= 70 and all("!" <= c <= "~" for c in uid)
        require(good, f'"{entry}"')


@GROUP.check(
    "rfc1939-s7/unique-id rfc1939-s7/unique-id-not-reused",
    "unique-ids differ from one another",
)
def different_ids(context: ConformanceContext) -> None:
    connection = context.need_messages(2)
    numbers: dict[str, list[str]] = {}
    for entry in context.list_unique_ids():
        number, uid = entry.split()[:2]
        numbers.setdefault(uid, []).append(number)
    for uid, (first, *others) in numbers.items():
        for other in others:  # identical copies may share an id: it may be a hash of the message
            same = connection.fetch_body(f"RETR {first}") == connection.fetch_body(f"RETR {other}")
            require(
                same, f'messages {first} and {other} differ, and both have the unique-id "{uid}"'
            )


@GROUP.check("rfc1939-s7/unique-id", "unique-ids are the same in the next session")
def lasting_ids(context: ConformanceContext) -> None:
    context.need_messages()
    context.list_unique_ids()
    found = []
    for _ in range(2):
        with context.open_session() as connection:
            found.append([entry.split()[1] for entry in connection.fetch_lines("UIDL")])
            connection.exchange("QUIT")
    there = set(found[1])  # new mail may have come
    lost = [uid for uid in found[0] if uid not in there]
    require(not lost, f"gone: {lost[:2]}; there: {found[1][:2]}")


@GROUP.check("rfc1939-s7/uidl", "UIDL n agrees with UIDL")
def one_id(context: ConformanceContext) -> None:
    connection = context.need_messages()
    entry = context.list_unique_ids()[0]
    answer = connection.expect_ok(f"UIDL {entry.split()[0]}").decode("latin-1").split()
    require(answer[1:3] == entry.split(), f"{entry}; {' '.join(answer)}")


@GROUP.check("rfc1939-s5/noop", "NOOP replies +OK")
def noop(context: ConformanceContext) -> None:
    context.session.expect_ok("NOOP")


@GROUP.check("rfc1939-s5/rset known-bug/extra-reply", "RSET replies +OK, once")
def rset(context: ConformanceContext) -> None:
    connection = context.session
    connection.expect_ok("RSET")
    more = connection.read_rest()
    require(not more, f"more follows: {quote(more)}")


@GROUP.check("rfc1939-s3/wrong-state", "a second login in a session gets -ERR")
def second_login(context: ConformanceContext) -> None:
    connection = context.session
    for command in (f"USER {context.server.user}", "PASS nobody-has-this-password", "AUTH PLAIN"):
        answer = connection.exchange(command)
        require(answer.startswith(b"-ERR"), f"{command.split()[0]}: {quote(answer)}")


@GROUP.check(
    "rfc1939-s4/exclusive-lock known-bug/two-sessions",
    "two sessions cannot lock the same maildrop",
)
def locked(context: ConformanceContext) -> None:
    with context.open_session() as first, context.open_connection() as second:
        answer = context.send_login(second)
        still = False
        with contextlib.suppress(ClosedError):  # the second login has ended the first session
            still = first.exchange("NOOP").startswith(b"+OK")
        require(
            not (answer.startswith(b"+OK") and still),
            f"both sessions are logged in: {quote(answer)}",
        )


@GROUP.check(
    "rfc2449-s8.1/response-codes implied/password-before-lock",
    "a login to a locked maildrop gets [IN-USE], if RESP-CODES is announced",
)
def locked_code(context: ConformanceContext) -> None:
    if "RESP-CODES" not in context.capabilities_before:
        raise NotTestable("RESP-CODES is not announced")
    with context.open_session(), context.open_connection() as second:
        answer = context.send_login(second)
        if answer.startswith(b"+OK"):
            raise NotTestable("the maildrop is not locked")
        require(b"[IN-USE]" in answer.upper(), quote(answer))


@GROUP.check(
    "rfc1939-s4/numbering implied/stable-session",
    "new mail during a session does not change its list",
)
def new_mail(context: ConformanceContext) -> None:
    if context.deliver is None:
        raise NotTestable("requires --maildir, --lmtp or --deliver")
    context.close_shared_session()
    with context.open_session() as connection:
        before = connection.fetch_lines("LIST")
        context.deliver.put(build_sample(context.run_id, "plain").stored)
        after = connection.fetch_lines("LIST")
        connection.exchange("QUIT")
    require(before == after, f"{len(before)} messages, then {len(after)}")


def _readable(context: ConformanceContext) -> list[tuple[int, int]]:
    """Return the numbers and sizes of messages that can be read whole. Raises NotTestable."""
    lines = context.need_messages().fetch_lines("LIST")
    listed = [(int(found[1]), int(found[2])) for found in map(LISTED.match, lines) if found]
    known = [(number, size) for number, size in listed if size < LIMIT // 2]
    if not known:
        raise NotTestable(f"LIST has no message with less than {LIMIT // 2} octets")
    return known


def _whole(context: ConformanceContext) -> tuple[int, bytes]:
    """Return the number of a message, and its octets."""
    number, _ = _readable(context)[0]
    return number, unstuff(context.session.fetch_body(f"RETR {number}"))


def _split(whole: bytes) -> tuple[bytes, bytes]:
    """Return a message's header with its empty line, and its body."""
    if whole.startswith(b"\r\n"):
        return whole[:2], whole[2:]
    head, empty, body = whole.partition(b"\r\n\r\n")
    return head + empty, body


def _top(context: ConformanceContext, number: int, lines: int) -> bytes:
    connection = context.session
    context.require_top(connection.exchange(f"TOP {number} {lines}"))
    return connection.read_body()
