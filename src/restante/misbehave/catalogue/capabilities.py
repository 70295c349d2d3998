"""Faults of CAPA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.misbehave.catalogue.row import row
from restante.misbehave.changes import body, lines, repeat, status
from restante.misbehave.conversation import RESPONSE, alter
from restante.misbehave.fault import ALL, ALL_OR_NONE
from restante.misbehave.rules import without

if TYPE_CHECKING:
    from restante.misbehave.conversation import Conversation, ReplyParts

LATE = (b"UIDL", b"TOP")
LOGINS = ("PASS", "APOP", "AUTH", RESPONSE)  # the last command of a login
ODD = (b"", b"uidl", b"TOP ", b"X-LONG " + b"x" * 600, b"SASL", b"EXPIRE never ever", b"\xe4\xf6")


def _list_late(conversation: Conversation) -> Conversation:
    """List UIDL and TOP only after the login."""
    is_logged_in = False

    def change(reply: ReplyParts) -> ReplyParts:
        nonlocal is_logged_in
        if reply.command.verb == "CAPA" and not is_logged_in:
            return without(without(reply, b"UIDL"), b"TOP")
        is_logged_in = is_logged_in or (reply.ok and reply.command.verb in LOGINS)
        return reply

    return alter(conversation, reply=change)


def _add_odd_lines(body_lines: list[bytes]) -> list[bytes]:
    return [*ODD, *(line for line in body_lines if line not in LATE)]


CAPABILITIES = (
    row("capa-none", "does not know CAPA", ALL,
        "CAPA: -ERR unknown command"),
    row("capa-odd", "lists capabilities in odd forms", ALL,
        lines("CAPA", _add_odd_lines)),
    row("capa-empty", "lists no capability", ALL,
        body("CAPA", lambda _: b""), seen="neomutt#1427"),
    row("capa-cut", "hangs up within CAPA", ALL_OR_NONE,
        "CAPA: close at 50%", "capa-lost"),
    row("capa-silent", "never answers CAPA", ALL_OR_NONE,
        "CAPA: silence", "capa-lost"),
    row("capa-no-end", "never ends the list of CAPA", ALL_OR_NONE,
        ("CAPA: silence at 100%", "CAPA: without end"), "capa-lost"),
    row("capa-no-list", "answers CAPA with +OK and no list", ALL_OR_NONE,
        ("CAPA: silence at 100%", "CAPA: without end", body("CAPA", lambda _: b"")), "capa-lost"),
    row("capa-noise", "answers CAPA with words that are not POP3", ALL_OR_NONE,
        status("CAPA", b"500 what?"), "capa-lost"),
    row("capa-endless", "lists a million capabilities", ALL_OR_NONE,
        body("CAPA", lambda _: repeat(b"X-AGAIN\r\n", 1_000_000)), "capa-lost bad-reply"),
    row("capa-later", "lists UIDL and TOP only after the login", ALL,
        _list_late, seen="jakartaee/mail-api#50"),
    row("capa-no-user", "does not list USER, and accepts it", ALL,
        "CAPA: without USER"),
    row("closed-at-capa", "hangs up at CAPA", ALL_OR_NONE,
        "CAPA: close", "capa-lost"),
)  # fmt: skip
