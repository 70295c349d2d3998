"""Faults of RETR and TOP."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from restante.misbehave.catalogue.row import row
from restante.misbehave.changes import (
    after,
    alter_line,
    body,
    both_forms,
    instead,
    later_sessions,
    repeat,
    status,
)
from restante.misbehave.conversation import add, alter
from restante.misbehave.fault import (
    ALL,
    ALL_OR_NONE,
    ALL_WARNED,
    FIRST,
    NOTHING,
    SECOND,
    GoodClient,
)
from restante.misbehave.rules import on, parse_rules
from restante.protocol.server.needs import OpenMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.misbehave.conversation import Alteration, Change, Conversation, ReplyParts
    from restante.misbehave.fault import Fault, Messages

ESCAPES = b"\x1b[2J\x1b]0;owned\x07"
ALL_BUT_EMPTY = GoodClient("keeps message 2; message 1 is empty", frozenset({2}), may_keep=True)

FIRST_OR_RESET = replace(
    FIRST,
    sentence="keeps message 1, and reports an error; with commands sent ahead, a reset may lose it",
)
UNSEEN = replace(
    ALL_OR_NONE,
    sentence="cannot see it by RETR alone: sizes and TOP may show that message 2 is another one",
)
BY_SIZE = replace(
    ALL_OR_NONE, sentence="sees it by the size in LIST alone; keeps no part as a whole"
)

HEADER_LINE = b"X-Filling: " + b"x" * 50 + b"\r\n"


def _retr(  # noqa: PLR0913, PLR0917  # a row of a table
    name: str, sentence: str, good: GoodClient, does: Any, verdict: str = "", seen: str = ""
) -> Fault:
    """Return a row whose verdict only a deep check finds."""
    return row(name, sentence, good, does, verdict, seen, deep=True)


_STATUS = b"Status: RO\r\nX-UIDL: 1a2b3c\r\n"
_GROWN = both_forms("LIST", lambda number, size: b"%s %d" % (number, int(size) + len(_STATUS)))


def _add_status(message: bytes) -> bytes:
    return message.replace(b"\r\n\r\n", b"\r\n" + _STATUS + b"\r\n", 1)


def _count_status(reply: ReplyParts) -> bytes:
    _, count, octets = reply.status.split()[:3]
    return b"+OK %s %d" % (count, int(octets) + int(count) * len(_STATUS))


def _message(change: Callable[[bytes], bytes]) -> Callable[[Messages], Messages]:
    """Return what changes the mail itself, so that sizes are right."""
    return lambda messages: tuple(change(message) for message in messages)


def _insert_in_body(insert: bytes, times: int = 1, end: bytes = b"") -> Callable[[bytes], bytes]:
    """Return what puts octets a number of times at the beginning of a message's body."""

    def change(message: bytes) -> bytes:
        return message.replace(b"\r\n\r\n", b"\r\n\r\n" + repeat(insert, times) + end, 1)

    return change


def _unstuff(octets: bytes) -> bytes:
    return (b"\r\n" + octets).replace(b"\r\n..", b"\r\n.")[2:]


def _half(octets: bytes) -> bytes:
    """Return the first half of a body, up to a line's end."""
    return octets[: octets.find(b"\r\n", len(octets) // 2) + 2]


def _send_error_late(reply: ReplyParts) -> ReplyParts:
    if not reply.multiline:
        return reply
    return replace(reply, body=_half(reply.body), end=b"-ERR [SYS/TEMP] disk error\r\n")


def _set_end(end: bytes) -> Change:
    return lambda reply: replace(reply, end=end) if reply.multiline else reply


def _use_lone_cr(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\r")


def _glue(reply: ReplyParts) -> ReplyParts:
    """Put the dot at the end of the last line, not on a line of its own."""
    return replace(reply, body=reply.body.removesuffix(b"\r\n")) if reply.multiline else reply


def _split_end(reply: ReplyParts) -> ReplyParts:
    return replace(reply, chunk=1) if len(reply.octets) < 5000 else reply


def _end_with(rules: str, change: Change) -> tuple[str | Alteration, ...]:
    return rules, on("RETR", change)


def _send_first(conversation: Conversation) -> Conversation:
    """Read message 1 for each RETR, also if it is marked."""

    def change(need: Any) -> Any:
        return (
            replace(need, index=0) if isinstance(need, OpenMessage) and need.lines is None else need
        )

    return alter(conversation, need=change)


def _whole(line: bytes) -> bytes:
    """Ask for the whole message in TOP."""
    words = line.split()
    is_top = len(words) > 1 and words[0].upper() == b"TOP"
    return b"TOP %s 99999\r\n" % words[1] if is_top else line


_SIZE_10 = both_forms("LIST", lambda number, _size: number + b" 10")

MESSAGES = (
    _retr("retr-refused", "refuses the first message", SECOND,
          "RETR 1: -ERR [SYS/TEMP] this message cannot be read now", "retr-refused"),
    _retr("retr-quota", "refuses each message, because a limit is reached", NOTHING,
          "RETR: -ERR Download limit reached", "retr-refused", "zmail#115"),
    _retr("retr-closed", "hangs up at RETR", NOTHING,
          "RETR: close", "conn-lost msg-truncated"),
    _retr("retr-silent", "never answers RETR", NOTHING,
          "RETR: silence", "stalled"),
    _retr("retr-cut", "hangs up within a message", NOTHING,
          "RETR: close at 50%", "msg-truncated", "hMailServer TestDisconnectAfterRetrCommand"),
    _retr("retr-cut-header", "hangs up within a message's header", NOTHING,
          "RETR: close at 60", "msg-truncated"),
    _retr("retr-reset", "resets the connection within a message", NOTHING,
          "RETR: reset at 50%", "msg-truncated"),
    _retr("retr-cut-2", "hangs up within the second message", FIRST,
          "RETR#2: close at 50%", "msg-truncated"),
    _retr("retr-closed-after", "hangs up after the first message", FIRST_OR_RESET,
          "RETR#1: close at 100%", "msg-truncated conn-lost"),
    _retr("retr-stall", "falls silent within a message", NOTHING,
          "RETR: silence at 50%", "stalled"),
    row("retr-drip", "sends messages three octets at a time", ALL,
        "RETR: chunks 3"),
    row("retr-split-end", "sends CR, LF, dot, CR and LF one by one", ALL,
        on("RETR", _split_end), seen="hMailServer"),
    _retr("retr-no-end", "forgets the dot at the end of a message, and waits", NOTHING,
          ("RETR: silence at 100%", "RETR: without end"), "stalled"),
    _retr("retr-no-end-closed", "forgets the dot at the end of a message, and hangs up", NOTHING,
          ("RETR: close at 100%", "RETR: without end"), "msg-truncated"),
    _retr("retr-half-end", "ends a message with a dot and CR, but no LF", ALL_OR_NONE,
          _end_with("RETR: silence at 100%", _set_end(b".\r")), "stalled", "cyrus-imapd#4717"),
    _retr("retr-end-no-crlf", "ends a message with a dot, and hangs up", ALL_OR_NONE,
          _end_with("RETR: close at 100%", _set_end(b".")), "msg-truncated conn-lost"),
    _retr("retr-end-lf", "ends a message with a dot and LF", ALL_OR_NONE,
          on("RETR", _set_end(b".\n")), "lf-ends"),
    _retr("retr-glued-dot", "glues the dot to the last line", ALL_OR_NONE,
          _end_with("RETR: silence at 100%", _glue), "stalled msg-truncated"),
    _retr("retr-double-end", "ends a message twice", ALL_OR_NONE,
          after("RETR", b".\r\n"), "desync not-stuffed"),
    _retr("retr-unstuffed", "does not double dots", ALL_WARNED,
          body("RETR", _unstuff), "not-stuffed list-size",
          "mailpit#299, greenmail#475, netius#96"),
    row("retr-lone-dot", "does not double a line that is a dot", NOTHING,
        body("RETR", _unstuff), "not-stuffed",
        "jakartaee/mail-api#692, cpython#95252", deep=True,
        messages=_message(_insert_in_body(b"Before the dot.\r\n.\r\nBehind the dot.\r\n"))),
    _retr("retr-lf", "sends messages with LF alone", ALL,
          body("RETR", lambda octets: octets.replace(b"\r\n", b"\n")), "bare-lf"),
    _retr("retr-cr", "ends lines with CR alone", ALL_OR_NONE,
          ("RETR: silence at 100%", body("RETR", _use_lone_cr)), "stalled"),
    row("retr-long-line", "sends a line of 3 MB", ALL,
        "", "long-line", "odoo#10920, frappe#15581", deep=True,
        messages=_message(_insert_in_body(b"x", 3_000_000, b"\r\n"))),
    row("retr-8bit", "sends octets that are not text", ALL,
        messages=_message(_insert_in_body(bytes(range(128, 256)) + b"\r\n"))),
    row("retr-nul", "sends NUL within a message", ALL_WARNED,
        "", "nul", deep=True, messages=_message(_insert_in_body(b"a\0b\r\n"))),
    row("retr-no-header", "holds messages that begin with an empty line", ALL,
        messages=_message(lambda message: b"\r\n" + message.partition(b"\r\n\r\n")[2])),
    row("retr-empty", "holds an empty message", ALL_BUT_EMPTY,
        messages=lambda messages: (b"", *messages[1:])),
    row("retr-dot-first", "holds messages that begin with a dot", ALL,
        messages=_message(lambda message: b".Odd: yes\r\n" + message)),
    row("retr-from-first", "holds messages that begin with a From line of mbox", ALL,
        messages=_message(lambda message: b"From joe Mon Jan  1 00:00:00 2024\r\n" + message)),
    _retr("retr-no-status", "sends a message without a status line", NOTHING,
          on("RETR", lambda reply: replace(reply, status=b"")), "not-stuffed bad-reply"),
    _retr("retr-no-message", "answers RETR with +OK and no message", ALL_OR_NONE,
          ("RETR: silence at 100%", instead("RETR", b"+OK message follows\r\n")), "stalled"),
    _retr("retr-extra", "says +OK once more after a message", ALL_OR_NONE,
          after("RETR", b"+OK\r\n"), "desync"),
    _retr("retr-err-late", "says -ERR within a message, and waits", NOTHING,
          _end_with("RETR: silence at 100%", _send_error_late), "stalled"),
    _retr("retr-short-then-err", "ends a message at its half, and then says -ERR", ALL_OR_NONE,
          (after("RETR", b"-ERR line too long\r\n"), body("RETR", _half)),
          "desync list-size", "Inbucket's source, e56c6d5"),
    _retr("retr-short", "ends a message at its half with a dot", BY_SIZE,
          body("RETR", _half), "list-size"),
    _retr("retr-nothing", "sends a dot in place of a message", ALL_OR_NONE,
          body("RETR", lambda _: b""), "list-size"),
    row("status-added", "adds Status and X-UIDL to the header after the first session", ALL,
        later_sessions(add(body("RETR", _add_status), body("TOP", _add_status), _GROWN,
                           status("STAT", _count_status))),
        seen="mbox servers such as qpopper"),
    _retr("retr-same", "sends message 1 for each number", UNSEEN,
          _send_first),
    row("retr-many-newlines", "adds an empty line to each message", ALL,
        body("RETR", lambda octets: octets + b"\r\n"), "list-size",
        "Mailpit's source, 408b30d", deep=True),
    row("retr-20mb", "sends 20 MB where LIST said 10 octets", ALL_OR_NONE,
        (_SIZE_10, body("RETR", _insert_in_body(b"x" * 74 + b"\r\n", 276_000))),
        "bad-reply list-size", deep=True),
    row("retr-header-10mb", "sends a header of 10 MB", ALL,
        messages=_message(lambda message: repeat(HEADER_LINE, 160_000) + message)),
    row("retr-many-dots", "sends 200000 lines that are dots", ALL,
        messages=_message(_insert_in_body(b".\r\n", 200_000))),
    row("retr-utf8-header", "sends a header in UTF-8 to a client that did not ask", ALL,
        messages=_message(lambda message: "X-Gruß: ä\r\n".encode() + message)),
    row("retr-cr-in-line", "sends a lone CR within a line", ALL,
        messages=_message(_insert_in_body(b"one\rline\r\n"))),
    row("top-none", "does not know TOP", ALL,
        "CAPA: without TOP\nTOP: -ERR unknown command", "top-missing", "neomutt#2707"),
    row("top-announced", "announces TOP, and does not know it", ALL,
        "TOP: -ERR unknown command", "top-missing", "smtp4dev's source, 738a75f"),
    row("top-whole", "sends the whole message in TOP", ALL,
        alter_line(_whole), "top-body", "Mailpit's source, 408b30d"),
    row("top-cut", "hangs up within TOP", ALL_OR_NONE,
        "TOP: close at 50%", "conn-lost msg-truncated"),
    row("top-stall", "falls silent within TOP", ALL_OR_NONE,
        "TOP: silence at 50%", "stalled"),
    row("top-goes-on", "sends a line that is a dot in TOP, and goes on after it", ALL_OR_NONE,
        after("TOP", b"more\r\n.\r\n"), "not-stuffed"),
    row("top-silent", "never answers TOP", ALL_OR_NONE,
        "TOP: silence", "stalled"),
    _retr("escape-in-error", "sends terminal escapes in an error", SECOND,
          parse_rules("RETR 1: -ERR " + ESCAPES.decode() + "no"), "retr-refused"),
)  # fmt: skip
