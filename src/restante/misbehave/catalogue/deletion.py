"""Faults of DELE and QUIT."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from restante.misbehave.catalogue.row import row
from restante.misbehave.changes import after, both_forms, instead, status
from restante.misbehave.conversation import add, alter
from restante.misbehave.fault import ALL, ALL_OR_NONE, ALL_WARNED, FIRST, UNSURE, GoodClient
from restante.protocol.server.needs import CommitDeletions

if TYPE_CHECKING:
    from restante.misbehave.conversation import Conversation, ReplyParts

NUMBERED = (b"RETR", b"DELE", b"TOP", b"LIST", b"UIDL")  # commands with a number

HIDDEN = GoodClient(
    "fetches all messages; those that it fetched are gone in the next session", None
)


def _keep_all(conversation: Conversation) -> Conversation:
    """Remove nothing, and say +OK."""

    def change(need: Any) -> Any:
        return replace(need, indexes=()) if isinstance(need, CommitDeletions) else need

    return alter(conversation, need=change)


def _hide_fetched(conversation: Conversation) -> Conversation:
    """Remove what was fetched, whether it is marked or not."""
    fetched_indexes: set[int] = set()

    def note(reply: ReplyParts) -> ReplyParts:
        number = reply.command.number
        if reply.command.verb == "RETR" and reply.multiline and number:
            fetched_indexes.add(number - 1)
        return reply

    def change(need: Any) -> Any:
        if isinstance(need, CommitDeletions):
            return replace(need, indexes=tuple(sorted({*need.indexes, *fetched_indexes})))
        return need

    return alter(conversation, reply=note, need=change)


def _renumber(conversation: Conversation) -> Conversation:
    """Number messages as if those that are marked had left the list."""
    marked: set[int] = set()  # by the numbers of the server

    def note(reply: ReplyParts) -> ReplyParts:
        verb, number = reply.command.verb, reply.command.number
        if verb == "DELE" and reply.ok and number is not None:
            marked.add(number)
        elif verb == "RSET" and reply.ok:
            marked.clear()
        return reply

    def read_number(line: bytes) -> bytes:
        verb, number, argument = [*line.split(None, 2), b"", b"", b""][:3]
        if verb.upper() not in NUMBERED or not number.isdigit():
            return line
        server_number = int(number)
        for each in sorted(marked):
            server_number += each <= server_number
        return b"%s %d %s" % (verb, server_number, argument.rstrip()) + b"\r\n"

    def write_number(number: bytes, value: bytes) -> bytes:
        before = sum(each < int(number) for each in marked)
        return b"%d %s" % (int(number) - before, value)

    lists = add(both_forms("LIST", write_number), both_forms("UIDL", write_number))
    return lists(alter(conversation, reply=note, line=read_number))


DELETION = (
    row("dele-refused", "refuses DELE", ALL_WARNED,
        "DELE: -ERR not allowed"),
    row("dele-refused-2", "refuses the second DELE", ALL_WARNED,
        "DELE#2: -ERR not allowed"),
    row("dele-closed", "hangs up at DELE", FIRST,
        "DELE: close"),
    row("dele-silent", "never answers DELE", FIRST,
        "DELE: silence"),
    row("dele-gone", "removes a message, and answers DELE with -ERR", ALL_WARNED,
        instead("DELE", b"-ERR it is gone\r\n")),
    row("dele-renumbers", "numbers the messages after a deleted one anew", ALL_WARNED,
        _renumber),
    row("dele-twice", "answers DELE with two lines", ALL_OR_NONE,
        after("DELE", b"+OK\r\n")),
    row("quit-refused", "answers QUIT with -ERR, because not all could be removed", UNSURE,
        "QUIT: -ERR some messages were not removed", "quit-err"),
    row("quit-closed", "hangs up at QUIT", ALL_WARNED,
        "QUIT: close", "quit-noreply"),
    row("quit-reset", "resets the connection at QUIT", ALL_WARNED,
        "QUIT: reset", "quit-noreply"),
    row("quit-silent", "never answers QUIT", ALL_WARNED,
        "QUIT: silence", "quit-noreply"),
    row("quit-words", "answers QUIT with words that are not POP3", ALL_WARNED,
        status("QUIT", b"bye"), "bad-reply"),
    row("quit-then-more", "says more after the goodbye", ALL,
        after("QUIT", b"+OK and thanks\r\n")),
    row("quit-removes-nothing", "says +OK to QUIT, and removes nothing", ALL,
        _keep_all),
    row("quit-ok-late", "removes the messages, and says so after 150 ms", ALL,
        "QUIT: wait 150ms"),
    row("quit-ok-failed", "says +OK to QUIT, and that the removal failed", ALL_WARNED,
        ("QUIT: +OK Signing off, but message deletion failed", _keep_all),
        seen="GreenMail's source, 659cd21"),
    row("fetched-is-hidden", "hides what was fetched from the next session", HIDDEN,
        _hide_fetched, seen="Gmail"),
)  # fmt: skip
