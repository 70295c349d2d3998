"""Faults of DELE and QUIT."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from restante.misbehave.catalogue.row import row
from restante.misbehave.changes import after, instead, status
from restante.misbehave.conversation import alter
from restante.misbehave.fault import ALL, ALL_OR_NONE, ALL_WARNED, FIRST, UNSURE, GoodClient
from restante.protocol.server.needs import CommitDeletions

if TYPE_CHECKING:
    from restante.misbehave.conversation import Conversation, ReplyParts

MAX_NUMBER = 1000  # of a message in a server that numbers anew

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
    fetched: set[int] = set()

    def note(reply: ReplyParts) -> ReplyParts:
        number = reply.command.number
        if reply.command.verb == "RETR" and reply.multiline and number:
            fetched.add(number - 1)
        return reply

    def change(need: Any) -> Any:
        if isinstance(need, CommitDeletions):
            return replace(need, indexes=tuple(sorted({*need.indexes, *fetched})))
        return need

    return alter(conversation, reply=note, need=change)


def _renumber(conversation: Conversation) -> Conversation:
    """Read each number as if the messages marked before had left the list."""
    marked: set[int] = set()

    def move(line: bytes) -> bytes:
        verb, number, *rest = [*line.split(None, 2), b"", b""]
        if verb.upper() not in (b"RETR", b"DELE", b"TOP") or not number.isdigit():
            return line
        there = [place for place in range(1, MAX_NUMBER) if place not in marked]
        place = there[min(int(number), len(there)) - 1]
        if verb.upper() == b"DELE":
            marked.add(place)
        return b" ".join([verb, b"%d" % place, *rest]).rstrip() + b"\r\n"

    return alter(conversation, line=move)


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
