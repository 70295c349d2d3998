"""Faults of any reply: its form, its language and its time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from restante.misbehave.catalogue.row import row
from restante.misbehave.changes import each_part, status
from restante.misbehave.fault import ALL, ALL_OR_NONE, ALL_WARNED, NOTHING
from restante.misbehave.rules import on

if TYPE_CHECKING:
    from restante.misbehave.conversation import Alteration, ReplyParts


def _ok(text: bytes) -> Alteration:
    """Return a fault that writes +OK in another way."""

    def change(reply: ReplyParts) -> ReplyParts:
        if not reply.ok:
            return reply
        return replace(reply, status=text + reply.status[3:])

    return on("*", change)


def _append(text: bytes) -> Alteration:
    """Return a fault that writes more into status lines, not into what AUTH sends in base64."""

    def change(reply: ReplyParts) -> ReplyParts:
        if not reply.status.startswith((b"+OK", b"-ERR")):
            return reply
        return replace(reply, status=reply.status.rstrip() + text + b"\r\n")

    return on("*", change)


REPLIES = (
    row("status-lowercase", "says +ok in small letters", ALL_OR_NONE,
        _ok(b"+ok"), "odd-reply"),
    row("status-glued", "says +OKready, without a blank", ALL_OR_NONE,
        status("USER", b"+OKready"), "bad-reply"),
    row("status-comma", "writes a comma after +OK", ALL_OR_NONE,
        status("USER", b"+OK, go on"), "odd-reply"),
    row("status-colon", "writes a colon after +OK", ALL_OR_NONE,
        status("USER", b"+OK: go on"), "odd-reply"),
    row("status-blank-first", "writes blanks before +OK", ALL_OR_NONE,
        status("USER", b"  +OK"), "odd-reply"),
    row("status-tab", "puts a tab after +OK", ALL_WARNED,
        status("USER", b"+OK\tgo on")),
    row("status-long", "answers with a status line of 5000 characters", ALL_WARNED,
        status("USER", b"+OK " + b"x" * 5000), "long-reply"),
    row("status-8bit", "writes Latin-1 into status lines", ALL,
        _append(b" \xe4\xf6\xfc")),
    row("status-utf8", "writes UTF-8 into status lines", ALL,
        _append(" äöü".encode())),
    row("status-nul", "writes NUL into a status line", ALL_OR_NONE,
        status("USER", b"+OK a\0b")),
    row("status-cr", "writes a lone CR into a status line", ALL_OR_NONE,
        status("USER", b"+OK a\rb")),
    row("status-crcrlf", "ends its lines with CR, CR and LF", ALL_OR_NONE,
        ("RETR: silence at 100%", each_part(lambda octets: octets.replace(b"\r\n", b"\r\r\n"))),
        "stalled"),
    row("status-empty-line", "sends an empty line after a reply", ALL_OR_NONE,
        status("USER", b"+OK\r\n"), "odd-reply"),
    row("status-continued", "answers in two lines, as SMTP does", ALL_OR_NONE,
        status("USER", b"+OK-go on\r\n+OK with the password"), "desync bad-reply"),
    row("status-err-glued", "writes a colon after -ERR", NOTHING,
        "PASS: -ERR: wrong password", "auth-failed"),
    row("status-http", "answers in HTTP after the greeting", NOTHING,
        ("CAPA: -ERR", status("USER", b"HTTP/1.1 400 Bad Request")), "bad-reply"),
    row("slow-latency", "takes 150 ms for each reply", ALL,
        "*: wait 150ms"),
    row("slow-rate", "sends 4 kB a second", ALL,
        "*: rate 4k/s"),
    row("slow-start", "pauses 150 ms before each message", ALL,
        "RETR: wait 150ms"),
    row("drip-all", "sends everything octet by octet", ALL,
        "*: chunks 1"),
    row("utf8-refused", "announces UTF8, and refuses it", ALL_OR_NONE,
        "UTF8: -ERR unknown command"),
    row("utf8-closed", "hangs up at UTF8", ALL_OR_NONE,
        "UTF8: close"),
    row("utf8-silent", "never answers UTF8", ALL_OR_NONE,
        "UTF8: silence"),
    row("lang-refused", "announces LANG, and refuses it", ALL,
        "LANG: -ERR unknown command"),
)  # fmt: skip
