"""Faults of STAT, LIST and UIDL."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle, islice
from typing import TYPE_CHECKING

from restante.misbehave.catalogue.row import row
from restante.misbehave.changes import (
    after,
    alter_line,
    body,
    both_forms,
    each_line,
    instead,
    later_sessions,
    lines,
    number_lines,
    status,
)
from restante.misbehave.conversation import add, alter
from restante.misbehave.fault import ALL, ALL_OR_NONE, ALL_WARNED, NO_MAIL
from restante.misbehave.rules import on, parse_rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.misbehave.conversation import Alteration, Conversation, ReplyParts
    from restante.misbehave.fault import Messages

MANY = 120
HIDDEN = 20
MAX_LINES = 200_000
WORD = b"thesamewordinanycase"
EVIL_FAULT = "uidl-path"
EVIL_NAME = "restante-evil"  # of the files that a client writes in /tmp, if it obeys that fault


def _no_mail(_messages: Messages) -> Messages:
    return ()


def _size(change: Callable[[int], object]) -> Alteration:
    """Return a fault that changes the sizes of LIST."""

    def change_line(number: bytes, size: bytes) -> bytes:
        size, blank, noise = size.partition(b" ")
        return b"%s %s%s%s" % (number, str(change(int(size))).encode(), blank, noise)

    return both_forms("LIST", change_line)


def _uid(change: Callable[[bytes, bytes], bytes]) -> Alteration:
    return both_forms("UIDL", lambda number, uid: number + b" " + change(number, uid))


def _uid_alone(reply: ReplyParts) -> bytes:
    is_one_line = reply.ok and not reply.multiline
    return b"+OK " + reply.status.split()[-1] if is_one_line else reply.status.rstrip()


def _evil(number: bytes, _uid: bytes) -> bytes:
    return f"../../../../tmp/{EVIL_NAME}".encode() + number


def _write_in_capitals(number: bytes, _uid: bytes) -> bytes:
    """Return one word for all numbers; the bits of a number say which letters are capitals."""
    letters = (
        bytes([letter]).upper() if int(number) >> place & 1 else bytes([letter])
        for place, letter in enumerate(WORD)
    )
    return b"".join(letters)


def _renumber(new: Callable[[int], int]) -> Alteration:
    """Return a fault that gives other numbers in LIST and UIDL than in the server."""

    def change(number: bytes, value: bytes) -> bytes:
        return b"%d %s" % (new(int(number)), value)

    return add(both_forms("LIST", change), both_forms("UIDL", change))


def _misread_number(old: Callable[[int], int]) -> Alteration:
    """Return a fault that reads another number in a command."""

    def change(line: bytes) -> bytes:
        verb, blank, arguments = line.rstrip(b"\r\n").partition(b" ")
        number, blank_after, line_count = arguments.partition(b" ")
        if verb.upper() in (b"RETR", b"TOP", b"DELE", b"LIST", b"UIDL") and number.isdigit():
            number = b"%d" % old(int(number))
        return verb + blank + number + blank_after + line_count + b"\r\n"

    return alter_line(change)


def _without_gap(number: int) -> int:
    return (number + 1) // 2 if number % 2 else 0


def _session_uid(conversation: Conversation, most: int = -1) -> Conversation:
    """Give other unique-ids in each session, to the first messages or to all."""

    def change(reply: ReplyParts) -> ReplyParts:
        if reply.command.verb != "UIDL" or not reply.multiline:
            return reply
        mark = b"-%d\r\n" % reply.session
        return replace(reply, body=reply.body.replace(b"\r\n", mark, most))

    return alter(conversation, reply=change)


def _first_session_uid(conversation: Conversation) -> Conversation:
    return _session_uid(conversation, 1)


def _first_two(body_lines: list[bytes]) -> list[bytes]:
    return body_lines[:2]


def _first(body_lines: list[bytes]) -> list[bytes]:
    return body_lines[:1]


def _go_on_listing(conversation: Conversation) -> Conversation:
    """Go on listing what was listed before it was marked."""
    first_bodies: dict[str, bytes] = {}

    def change(reply: ReplyParts) -> ReplyParts:
        verb = reply.command.verb
        if verb not in ("LIST", "UIDL") or not reply.multiline:
            return reply
        first_body = first_bodies.setdefault(verb, reply.body)
        return replace(reply, body=max(first_body, reply.body, key=len))

    return alter(conversation, reply=change)


def _count_in_words(reply: ReplyParts) -> bytes:
    _, count, octets = reply.status.split()[:3]
    return b"+OK %s messages (%s octets)" % (count, octets)


def _newest(body_lines: list[bytes]) -> list[bytes]:
    return body_lines[HIDDEN:]


def _count_newest(reply: ReplyParts) -> bytes:
    _, count, octets = reply.status.split()[:3]
    return b"+OK %d %s" % (max(0, int(count) - HIDDEN), octets)


def _move_numbers(conversation: Conversation) -> Conversation:
    """After UIDL, take message 1 for message 2, and the other way round."""
    listed = False

    def note(reply: ReplyParts) -> ReplyParts:
        nonlocal listed
        listed = listed or (reply.command.verb == "UIDL" and reply.ok)
        return reply

    def move(line: bytes) -> bytes:
        words = line.split(None, 2)
        if not listed or len(words) < 2 or words[0].upper() not in (b"RETR", b"DELE", b"TOP"):
            return line
        words[1] = {b"1": b"2", b"2": b"1"}.get(words[1], words[1])
        return b" ".join(words).rstrip() + b"\r\n"

    return alter(conversation, reply=note, line=move)


def _five(messages: Messages) -> Messages:
    return _many(messages)[:5]


def _many(messages: Messages) -> Messages:
    return tuple(
        message.replace(b"\r\n\r\n", b"\r\nX-Number: %d\r\n\r\n" % number, 1)
        for number, message in enumerate(islice(cycle(messages), MANY), 1)
    )


GARBAGE = b"500 no such mailbox"

LISTING = (
    row("stat-text", "says more than two numbers in STAT", ALL,
        status("STAT", lambda reply: reply.status.rstrip() + b" octets in your maildrop")),
    row("stat-words", "writes the numbers of STAT in a sentence", ALL_OR_NONE,
        status("STAT", _count_in_words),
        "odd-reply"),
    row("stat-garbage", "answers STAT with words", ALL_OR_NONE,
        "STAT: +OK no numbers today", "bad-reply"),
    row("stat-refused", "refuses STAT", ALL_OR_NONE,
        "STAT: -ERR no index", "refused"),
    row("stat-no-status", "leaves +OK out in STAT", ALL_OR_NONE,
        status("STAT", lambda reply: reply.status[4:].rstrip()), "bad-reply"),
    row("stat-twice", "answers STAT with two lines", ALL_OR_NONE,
        after("STAT", b"+OK 2 616\r\n"), "desync"),
    row("stat-negative", "counts -1 messages", ALL_OR_NONE,
        "STAT: +OK -1 -1", "bad-reply"),
    row("stat-huge", "counts 99999999999999999999 messages", ALL_OR_NONE,
        "STAT: +OK 99999999999999999999 99999999999999999999", "bad-reply stat-lie"),
    row("stat-lies", "counts five messages where there are two", ALL_WARNED,
        "STAT: +OK 5 5000", "stat-lie"),
    row("stat-zero", "counts no message where there are two", ALL_OR_NONE,
        "STAT: +OK 0 0", "stat-lie"),
    row("stat-closed", "hangs up at STAT", ALL_OR_NONE,
        "STAT: close", "conn-lost"),
    row("stat-silent", "never answers STAT", ALL_OR_NONE,
        "STAT: silence", "stalled"),
    row("list-noise", "writes more after the sizes", ALL,
        each_line("LIST", lambda line: line + b" octets"), seen="Mailutils, Exchange"),
    row("list-tab", "puts a tab after the numbers in LIST", ALL_OR_NONE,
        each_line("LIST", lambda line: line.replace(b" ", b"\t")), "odd-list"),
    row("list-blanks", "puts three blanks before the sizes in LIST", ALL_OR_NONE,
        each_line("LIST", lambda line: line.replace(b" ", b"   ")), "odd-list"),
    row("list-empty-line", "writes an empty line into LIST", ALL_OR_NONE,
        lines("LIST", lambda body_lines: [*body_lines, b""]), "odd-list"),
    row("list-dot-blank", "writes a blank after the dot of LIST", ALL_OR_NONE,
        on("LIST", lambda reply: replace(reply, end=reply.end.replace(b".", b". "))), "odd-list"),
    row("list-garbage", "writes a line of words into LIST", ALL_OR_NONE,
        lines("LIST", lambda body_lines: [*body_lines, b"and so on"]), "bad-reply"),
    row("list-no-size", "leaves the sizes out", ALL_OR_NONE,
        each_line("LIST", lambda line: line.split()[0]), "odd-list"),
    row("list-refused", "refuses LIST", ALL_OR_NONE,
        "LIST: -ERR no messages", "refused"),
    row("list-cut", "hangs up within LIST", ALL_OR_NONE,
        "LIST: close at 50%", "conn-lost"),
    row("list-stall", "never ends LIST", ALL_OR_NONE,
        ("LIST: silence at 100%", "LIST: without end"), "stalled"),
    row("list-endless", "lists 200000 messages", ALL_OR_NONE,
        body("LIST", lambda _: number_lines(MAX_LINES, b"100")), "stat-lie"),
    row("list-reversed", "lists messages backwards", ALL_WARNED,
        lines("LIST", lambda body_lines: body_lines[::-1])),
    row("list-twice", "lists a message twice", ALL_OR_NONE,
        lines("LIST", lambda body_lines: [*body_lines, *body_lines[:1]])),
    row("list-gap", "numbers its messages 1 and 3", ALL_OR_NONE,
        (_renumber(lambda n: 2 * n - 1), _misread_number(_without_gap))),
    row("list-zero", "numbers its messages from 0", ALL_OR_NONE,
        (_renumber(lambda n: n - 1), _misread_number(lambda n: n + 1))),
    row("list-plus", "writes sizes with a plus sign", ALL_OR_NONE,
        _size(lambda size: f"+{size}"), "odd-list"),
    row("list-negative", "lists sizes of -1", ALL_OR_NONE,
        _size(lambda _: -1), "odd-list"),
    row("list-hexadecimal", "writes sizes in hexadecimal digits", ALL_OR_NONE,
        _size(hex), "odd-list"),
    row("list-number-too-big", "lists sizes of 30 digits", ALL_OR_NONE,
        _size(lambda _: "9" * 30), "odd-list"),
    row("list-short", "lists one message where STAT counted two", ALL_OR_NONE,
        lines("LIST", _first), "stat-lie"),
    row("list-no-status", "answers LIST without a status line", ALL_OR_NONE,
        on("LIST", lambda reply: replace(reply, status=b"")), "bad-reply"),
    row("list-not-pop3", "answers LIST with words that are not POP3", ALL_OR_NONE,
        instead("LIST", GARBAGE + b"\r\n"), "bad-reply"),
    row("size-small", "gives sizes that are too small", ALL,
        _size(lambda size: size // 2), "stat-lie list-size"),
    row("size-big", "gives sizes that are too big", ALL,
        _size(lambda size: size * 2), "stat-lie list-size"),
    row("size-zero", "gives sizes of 0", ALL,
        _size(lambda _: 0), "stat-lie list-size"),
    row("empty", "holds no mail", NO_MAIL,
        messages=_no_mail),
    row("empty-refused", "holds no mail, and refuses LIST and UIDL therefore", NO_MAIL,
        "LIST: -ERR no messages\nUIDL: -ERR no messages", "list-empty", messages=_no_mail),
    row("empty-no-dot", "holds no mail, and answers LIST and UIDL without a dot", NO_MAIL,
        "LIST: without end\nUIDL: +OK 0 messages\nUIDL: without end", "list-empty",
        messages=_no_mail),
    row("uidl-none", "does not know UIDL", ALL,
        "CAPA: without UIDL\nUIDL: -ERR unknown command", "uidl-missing",
        "hMailServer, neomutt#1427"),
    row("uidl-lies", "announces UIDL, and refuses it", ALL,
        "UIDL: -ERR unknown command", "uidl-missing"),
    row("uidl-duplicate", "gives two messages one unique-id", ALL_WARNED,
        _uid(lambda _number, _uid: b"same"), "uidl-dup"),
    row("uidl-spaces", "writes three blanks before a unique-id", ALL,
        each_line("UIDL", lambda line: line.replace(b" ", b"   ")), "odd-list",
        "thunderbird-android#323"),
    row("uidl-tab", "writes a tab before a unique-id", ALL_OR_NONE,
        each_line("UIDL", lambda line: line.replace(b" ", b"\t")), "odd-list"),
    row("uidl-no-number", "leaves the number out in UIDL 1", ALL,
        status("UIDL", _uid_alone),
        seen="twisted#9104"),
    row("uidl-argument-many", "answers UIDL 1 in many lines", ALL_OR_NONE,
        alter_line(lambda line: b"UIDL\r\n" if line.upper().startswith(b"UIDL ") else line),
        seen="mailpit#552"),
    row(EVIL_FAULT, "gives a path that begins with ../../ as a unique-id", ALL_OR_NONE,
        _uid(_evil)),
    row("uidl-long", "gives a unique-id of 500 characters", ALL_WARNED,
        _uid(lambda number, _uid: number.rjust(500, b"x")), "uidl-bad"),
    row("uidl-short", "gives unique-ids for the first message only", ALL_OR_NONE,
        lines("UIDL", _first), "uidl-missing"),
    row("uidl-8bit", "gives unique-ids that are not ASCII", ALL_OR_NONE,
        _uid(lambda number, _uid: number + b"-\xe4\xff"), "uidl-bad"),
    row("uidl-empty", "gives an empty unique-id", ALL_OR_NONE,
        _uid(lambda _number, _uid: b""), "bad-reply uidl-bad uidl-missing"),
    row("uidl-case", "gives unique-ids that differ in case only", ALL,
        _uid(_write_in_capitals)),
    row("uidl-cut", "hangs up within UIDL", ALL_OR_NONE,
        "UIDL: close at 50%", "conn-lost"),
    row("uidl-stall", "never ends UIDL", ALL_OR_NONE,
        ("UIDL: silence at 100%", "UIDL: without end"), "stalled"),
    row("uidl-words", "answers UIDL with words that are not POP3", ALL_OR_NONE,
        instead("UIDL", GARBAGE + b"\r\n"), "bad-reply"),
    row("uidl-line-endless", "answers UIDL with 70000 characters and no line end", ALL_OR_NONE,
        ("UIDL: silence at 100%", instead("UIDL", b"+OK" + b"x" * 70_000)), "bad-reply"),
    row("uidl-endless", "gives unique-ids of 200000 messages", ALL_OR_NONE,
        body("UIDL", lambda _: number_lines(MAX_LINES, b"id-"))),
    row("closed-at-uidl", "hangs up at UIDL", ALL_OR_NONE,
        "UIDL: close", "conn-lost"),
    row("uidl-changes", "gives other unique-ids in each session", ALL,
        _session_uid),
    row("uidl-changes-some", "gives message 1 another unique-id in each session", ALL,
        _first_session_uid),
    row("uidl-once", "gives unique-ids in the first session, and refuses UIDL later", ALL,
        later_sessions(parse_rules("UIDL: -ERR internal error"))),
    row("uidl-reversed", "gives unique-ids backwards", ALL,
        lines("UIDL", lambda body_lines: body_lines[::-1])),
    row("uidl-reused", "gives a removed message's unique-id to new mail", ALL,
        later_sessions(_uid(lambda number, _uid: b"memory-%s" % number)),
        seen="cyrus-imapd#374"),
    row("numbers-move", "moves the numbers when mail arrives within a session", ALL_OR_NONE,
        _move_numbers, seen="smtp4dev's source"),
    row("deleted-listed", "goes on listing messages that are marked", ALL_WARNED,
        _go_on_listing, seen="twisted#9094"),
    row("newest-100", "shows the newest 100 of 120 messages", ALL_OR_NONE,
        (_renumber(lambda n: n - HIDDEN), lines("LIST", _newest), lines("UIDL", _newest),
         status("STAT", _count_newest), _misread_number(lambda n: n + HIDDEN)), "stat-lie",
        "Mailpit's source, 408b30d", messages=_many),
    row("two-at-a-time", "shows two of five messages at a time", ALL_OR_NONE,
        (lines("LIST", _first_two), lines("UIDL", _first_two)), "stat-lie", messages=_five),
    row("one-at-a-time", "shows one message at a time", ALL_OR_NONE,
        (lines("LIST", _first), lines("UIDL", _first)), "stat-lie"),
)  # fmt: skip
