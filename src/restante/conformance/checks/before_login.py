"""The greeting, CAPA and the commands before a login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.conformance.check import CheckGroup, NotTestable, require
from restante.conformance.raw_connection import quote

if TYPE_CHECKING:
    from restante.conformance.context import ConformanceContext

GROUP = CheckGroup()


@GROUP.check(
    "rfc1939-s3/greeting rfc1939-s3/status-words",
    "the greeting is one line that begins with +OK",
)
def greeting(context: ConformanceContext) -> None:
    with context.open_connection(secure=False) as connection:
        require(context.greeting.startswith(b"+OK"), quote(context.greeting))
        more = connection.read_rest()
        require(not more, f"more follows: {quote(more)}")


@GROUP.check("rfc1939-s7/apop", "the timestamp in the greeting is new for each connection")
def timestamp(context: ConformanceContext) -> None:
    found = []
    for _ in range(2):
        with context.open_connection(secure=False):
            _, opened, rest = context.greeting.partition(b"<")
            if not opened:
                raise NotTestable("no timestamp: APOP is not offered")
            found.append(rest.partition(b">")[0])
    require(found[0] != found[1], f"repeated: <{found[0].decode('latin-1')}>")
    require(b"@" in found[0], f"not a message-id: <{found[0].decode('latin-1')}>")


@GROUP.check("rfc2449-s5/capa", "CAPA lists the capabilities before login")
def capa(context: ConformanceContext) -> None:
    with context.open_connection() as connection:
        answer = connection.exchange("CAPA")
        if answer.startswith(b"-ERR"):
            raise NotTestable("the server does not support CAPA")
        require(answer.startswith(b"+OK"), quote(answer))
        require(connection.read_lines(), "the list is empty")


@GROUP.check(
    "rfc2449-s3/capability-tag",
    "capability tags have valid characters, and lines at most 512 octets",
)
def tags(context: ConformanceContext) -> None:
    for entry in _capabilities(context):
        tag = entry.split(" ")[0]
        require(all("!" <= c <= "\x7f" and c != "." for c in tag) and tag, f'the tag "{tag}"')
        require(len(entry) <= 510, f"{tag}: {len(entry) + 2} octets")


@GROUP.check("rfc2449-s9/registered known-bug/capa", "capabilities are registered or begin with X")
def registered(context: ConformanceContext) -> None:
    known = {
        "TOP", "USER", "SASL", "RESP-CODES", "LOGIN-DELAY", "PIPELINING", "EXPIRE", "UIDL",
        "IMPLEMENTATION", "STLS", "AUTH-RESP-CODE", "UTF8", "LANG",
    }  # fmt: skip
    for entry in _capabilities(context):
        tag = entry.split(" ")[0].upper()
        require(tag in known or tag.startswith("X"), f'"{tag}" is not in the registry')


@GROUP.check("rfc1939-s3/keyword-case", "keywords may be in any case")
def case(context: ConformanceContext) -> None:
    with context.open_connection() as connection:
        answer = connection.exchange("qUiT")
        require(answer.startswith(b"+OK"), quote(answer))


@GROUP.check(
    "rfc1939-s3/unknown-command",
    "an unknown command gets -ERR, and the session continues",
)
def unknown(context: ConformanceContext) -> None:
    with context.open_connection() as connection:
        connection.expect_err("XYZZY")
        connection.expect_reply()


@GROUP.check("rfc1939-s3/unknown-command", "an empty line gets -ERR, and the session continues")
def empty(context: ConformanceContext) -> None:
    with context.open_connection() as connection:
        connection.expect_err("")
        connection.expect_reply()


@GROUP.check("rfc1939-s3/wrong-state rfc1939-s5/noop", "commands for mail get -ERR before login")
def too_early(context: ConformanceContext) -> None:
    commands = ("STAT", "LIST", "RETR 1", "DELE 1", "NOOP", "RSET", "UIDL", "TOP 1 0")
    for two in zip(commands[::2], commands[1::2], strict=True):  # many in a row may end a session
        with context.open_connection() as connection:
            for command in two:
                answer = connection.exchange(command)
                require(answer.startswith(b"-ERR"), f"{command}: {quote(answer)}")


@GROUP.check("rfc1939-s7/pass", "PASS without USER gets -ERR")
def password_alone(context: ConformanceContext) -> None:
    with context.open_connection() as connection:
        connection.expect_err("PASS nobody-has-this-password")


@GROUP.check(
    "rfc1939-s3/argument-length known-bug/password-spaces",
    "USER accepts an unknown name of 40 characters like a known one",
)
def long_name(context: ConformanceContext) -> None:
    with context.open_connection() as connection:
        name = "restante-verify-has-a-name-of-40-letters"
        unknown = connection.exchange(f"USER {name}")
        known = connection.exchange(f"USER {context.server.user or 'info'}")
        if not known.startswith(b"+OK"):
            raise NotTestable(f"USER is rejected: {quote(known)}")
        if unknown.startswith(b"-ERR"):  # RFC 1939 section 7 allows it, whatever the length
            short = connection.exchange("USER restante-nobody")
            if short.startswith(b"-ERR"):
                raise NotTestable(f"USER rejects unknown names: {quote(short)}")
        require(unknown.startswith(b"+OK"), f"an unknown name: {quote(unknown)}")


@GROUP.check("rfc2449-s4/command-length", "a command of 255 octets gets a reply")
def longest(context: ConformanceContext) -> None:
    with context.open_connection() as connection:
        connection.send(b"USER " + b"x" * 248 + b"\r\n", "USER with 255 octets")
        answer = connection.read_status()
        require(answer.startswith((b"+OK", b"-ERR")), quote(answer))
        connection.expect_reply()


@GROUP.check(
    "rfc2449-s4/command-length known-bug/long-lines",
    "a line of 70,000 octets is not executed in parts",
)
def overlong(context: ConformanceContext) -> None:
    with context.open_connection() as connection:
        connection.send(b"X" * 70_000 + b"\r\nCAPA\r\n", "a line of 70,000 octets")
        octets = connection.read_rest(2.0)
        replies = [part for part in octets.split(b"\r\n") if part.startswith((b"+OK", b"-ERR"))]
        require(len(replies) <= 2, f"{len(replies)} replies to two lines: {quote(octets)}")


@GROUP.check("rfc1939-s4/quit", "QUIT before login gets +OK and closes the connection")
def quit_early(context: ConformanceContext) -> None:
    with context.open_connection() as connection:
        connection.expect_ok("QUIT")
        require(connection.closes_within(), "the connection stays open")


@GROUP.check("rfc1939-s3/command-line known-bug/long-lines", "a lone CR does not end a command")
def lone_cr_in_command(context: ConformanceContext) -> None:
    with context.open_connection() as connection:
        connection.send(b"NOOP\rCAPA\r\n", "a line with a lone CR")
        octets = connection.read_rest(1.0)
        replies = sum(part.startswith((b"+OK", b"-ERR")) for part in octets.split(b"\r\n"))
        require(replies <= 1, f"{replies} replies to one line: {quote(octets)}")


def _capabilities(context: ConformanceContext) -> list[str]:
    if not context.capabilities_before:
        raise NotTestable("the server does not support CAPA")
    return context.capabilities_before
