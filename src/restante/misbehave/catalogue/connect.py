"""Faults before the login: the connection and the greeting."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from restante.misbehave.catalogue.row import row
from restante.misbehave.fault import ALL, NOTHING
from restante.misbehave.rules import on

if TYPE_CHECKING:
    from restante.misbehave.conversation import ReplyParts

ENDLESS = b"+OK " + b"x" * 4_000_000


def _endless(reply: ReplyParts) -> ReplyParts:
    return replace(reply, status=ENDLESS)


CONNECT = (
    row("connect-closed", "hangs up before the greeting", NOTHING,
        "greeting: close", "greet-closed"),
    row("connect-reset", "resets the connection before the greeting", NOTHING,
        "greeting: reset", "greet-closed tcp-reset"),
    row("connect-silent", "accepts the connection, and says nothing", NOTHING,
        "greeting: silence", "greet-none"),
    row("greeting-err", "greets with -ERR", NOTHING,
        "greeting: -ERR [SYS/TEMP] busy, try again later", "greet-err"),
    row("greeting-bare", "greets with +OK alone", ALL,
        "greeting: +OK"),
    row("greeting-drip", "greets octet by octet", ALL,
        "greeting: chunks 1"),
    row("greeting-endless", "greets with 4 MB without a line end", NOTHING,
        (on("GREETING", _endless), "greeting: close at 100%"), "bad-reply",
        "CPython test_too_long_lines"),
)  # fmt: skip
