"""The greeting, CAPA and the commands before a login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.diagnosis.conformance.line import shown
from restante.diagnosis.conformance.registry import NotTestable, Theme, want

if TYPE_CHECKING:
    from restante.diagnosis.conformance.bench import Bench

THEME = Theme()


@THEME.check("R1939-3.1 R1939-3.6", "the greeting is one line that begins with +OK")
def greeting(bench: Bench) -> None:
    with bench.connected(secure=False) as line:
        want(bench.greeting.startswith(b"+OK"), shown(bench.greeting))
        more = line.more()
        want(not more, f"more comes behind it: {shown(more)}")


@THEME.check("R1939-7.7", "a timestamp in the greeting is a fresh one each time")
def timestamp(bench: Bench) -> None:
    found = []
    for _ in range(2):
        with bench.connected(secure=False):
            _, opened, rest = bench.greeting.partition(b"<")
            if not opened:
                raise NotTestable("no timestamp: APOP is not offered")
            found.append(rest.partition(b">")[0])
    want(found[0] != found[1], f"the same twice: <{found[0].decode('latin-1')}>")
    want(b"@" in found[0], f"no message-id: <{found[0].decode('latin-1')}>")


@THEME.check("R2449-5.1", "CAPA lists the capabilities before a login")
def capa(bench: Bench) -> None:
    with bench.connected() as line:
        answer = line.say("CAPA")
        if answer.startswith(b"-ERR"):
            raise NotTestable("the server has no CAPA (RFC 2449)")
        want(answer.startswith(b"+OK"), shown(answer))
        bench.before = line.listed()
    want(bench.before, "the list is empty")


@THEME.check("R2449-3.2", "capability tags have allowed characters, and lines at most 512 octets")
def tags(bench: Bench) -> None:
    for entry in _capabilities(bench):
        tag = entry.split(" ")[0]
        want(all("!" <= c <= "\x7f" and c != "." for c in tag) and tag, f'the tag "{tag}"')
        want(len(entry) <= 510, f"{tag}: {len(entry) + 2} octets")


@THEME.check("R2449-9.1 T4", "capabilities are registered ones, or begin with X")
def registered(bench: Bench) -> None:
    known = {
        "TOP", "USER", "SASL", "RESP-CODES", "LOGIN-DELAY", "PIPELINING", "EXPIRE", "UIDL",
        "IMPLEMENTATION", "STLS", "AUTH-RESP-CODE", "UTF8", "LANG",
    }  # fmt: skip
    for entry in _capabilities(bench):
        tag = entry.split(" ")[0].upper()
        want(tag in known or tag.startswith("X"), f'"{tag}" is not in the registry')


@THEME.check("R1939-3.2", "keywords are taken in any case")
def case(bench: Bench) -> None:
    with bench.connected() as line:
        answer = line.say("qUiT")
        want(answer.startswith(b"+OK"), shown(answer))


@THEME.check("R1939-3.9", "an unknown command gets -ERR, and the session goes on")
def unknown(bench: Bench) -> None:
    with bench.connected() as line:
        answer = line.say("XYZZY")
        want(answer.startswith(b"-ERR"), shown(answer))
        line.alive()


@THEME.check("R1939-3.9", "an empty line gets -ERR, and the session goes on")
def empty(bench: Bench) -> None:
    with bench.connected() as line:
        answer = line.say("")
        want(answer.startswith(b"-ERR"), shown(answer))
        line.alive()


@THEME.check("R1939-3.10 R1939-5.5", "commands for mail get -ERR before a login")
def too_early(bench: Bench) -> None:
    commands = ("STAT", "LIST", "RETR 1", "DELE 1", "NOOP", "RSET", "UIDL", "TOP 1 0")
    for two in zip(commands[::2], commands[1::2], strict=True):  # many in a row may end a session
        with bench.connected() as line:
            for command in two:
                answer = line.say(command)
                want(answer.startswith(b"-ERR"), f"{command}: {shown(answer)}")


@THEME.check("R1939-7.6", "PASS without USER gets -ERR")
def password_alone(bench: Bench) -> None:
    with bench.connected() as line:
        answer = line.say("PASS nobody-has-this-password")
        want(answer.startswith(b"-ERR"), shown(answer))


@THEME.check("R1939-3.4 T13", "a name of 40 characters is taken, and nothing is told about it")
def long_name(bench: Bench) -> None:
    with bench.connected() as line:
        name = "restante-verify-has-a-name-of-40-letters"
        unknown, known = line.say(f"USER {name}"), line.say(f"USER {bench.place.user or 'info'}")
        if not known.startswith(b"+OK"):
            raise NotTestable(f"USER is refused here: {shown(known)}")
        want(unknown.startswith(b"+OK"), f"an unknown name: {shown(unknown)}")


@THEME.check("R2449-4.1", "a command of 255 octets is answered, not cut off")
def longest(bench: Bench) -> None:
    with bench.connected() as line:
        line.send(b"USER " + b"x" * 248 + b"\r\n", "USER with 255 octets")
        answer = line.status()
        want(answer.startswith((b"+OK", b"-ERR")), shown(answer))
        line.alive()


@THEME.check("R2449-4.1 T10", "an overlong line is never acted upon in part")
def overlong(bench: Bench) -> None:
    with bench.connected() as line:
        line.send(b"X" * 70_000 + b"\r\nCAPA\r\n", "a line of 70,000 octets")
        heard = line.more(2.0)
        replies = [part for part in heard.split(b"\r\n") if part.startswith((b"+OK", b"-ERR"))]
        want(len(replies) <= 2, f"{len(replies)} replies to two lines: {shown(heard)}")


@THEME.check("R1939-4.6", "QUIT before a login gets +OK, and the connection is closed")
def quit_early(bench: Bench) -> None:
    with bench.connected() as line:
        line.ok("QUIT")
        want(line.closed(), "it stays open")


@THEME.check("R1939-3.3 T10", "commands end at LF: a lone CR is no line end")
def lone_cr_in_command(bench: Bench) -> None:
    with bench.connected() as line:
        line.send(b"NOOP\rCAPA\r\n", "a line with a lone CR")
        heard = line.more(1.0)
        replies = sum(part.startswith((b"+OK", b"-ERR")) for part in heard.split(b"\r\n"))
        want(replies <= 1, f"{replies} replies to one line: {shown(heard)}")


def _capabilities(bench: Bench) -> list[str]:
    if not bench.before:
        raise NotTestable("the server has no CAPA")
    return bench.before
