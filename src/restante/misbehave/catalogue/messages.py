"""Faults of RETR."""

from __future__ import annotations

from restante.misbehave.catalogue.row import row
from restante.misbehave.fault import ALL, FIRST, NOTHING, SECOND

MESSAGES = (
    row("retr-refused", "refuses the first message", SECOND,
        "RETR 1: -ERR [SYS/TEMP] this message cannot be read now", "retr-refused", deep=True),
    row("retr-quota", "refuses each message, because a limit is reached", NOTHING,
        "RETR: -ERR Download limit reached", "retr-refused", "zmail#115", deep=True),
    row("retr-cut", "hangs up within a message", NOTHING,
        "RETR: close at 50%", "msg-truncated", "hMailServer TestDisconnectAfterRetrCommand",
        deep=True),
    row("retr-reset", "resets the connection within a message", NOTHING,
        "RETR: reset at 50%", "msg-truncated", deep=True),
    row("retr-cut-2", "hangs up within the second message", FIRST,
        "RETR#2: close at 50%", "msg-truncated", deep=True),
    row("retr-closed-after", "hangs up behind the first message", FIRST,
        "RETR#1: close at 100%", "conn-lost", deep=True),
    row("retr-stall", "falls silent within a message", NOTHING,
        "RETR: silence at 50%", "stalled", deep=True),
    row("retr-drip", "sends messages three octets at a time", ALL,
        "RETR: chunks 3"),
    row("retr-no-end", "forgets the dot at the end of a message, and waits", NOTHING,
        ("RETR: silence at 100%", "RETR: without end"), "stalled", deep=True),
    row("retr-no-end-closed", "forgets the dot at the end of a message, and hangs up", NOTHING,
        ("RETR: close at 100%", "RETR: without end"), "msg-truncated", deep=True),
)  # fmt: skip
