"""LMTP and SMTP, told anything by a client, in any pieces."""

from __future__ import annotations

from delivery.talk import OWNERS, Talk
from fuzz.target import Target, choices, cut
from restante.delivery.protocol import session
from restante.delivery.protocol.session import Dialect
from restante.delivery.replies import BUSY
from restante.protocol import lines

MESSAGE_SIZE = 400  # octets, where 64 MiB are usual
ENDLESS = 600  # octets without a line end that end a session
LONGEST_REPLY = 510  # octets of a line, without its end: RFC 5321 section 4.5.3.1.5


def _told(said: bytes, dialect: Dialect, *, busy: bool, piece: int) -> tuple[bytes, Talk]:
    """Return all that the server says to this, and the session after the client has hung up."""
    talk = Talk(dialect, MESSAGE_SIZE)
    if busy:
        talk.outcomes["bob@example.com"] = BUSY
    heard = talk.send()
    for part in cut(said, piece):
        if talk.over:
            break
        heard += talk.send(part)
        assert talk.budget.left >= 3 * MESSAGE_SIZE, "one message, one share of the memory"
    talk.hang_up()
    return heard, talk


def delivery(octets: bytes) -> None:
    """The dialect and the size of pieces by two octets, then what the client says."""
    (flags, piece), said = choices(octets, 2)
    dialect = Dialect.LMTP if flags & 1 else Dialect.SMTP
    busy = bool(flags & 2)
    heard, talk = _told(said, dialect, busy=busy, piece=piece)
    whole, other = _told(said, dialect, busy=busy, piece=0)
    assert heard == whole, "pieces change no reply"
    assert talk.delivered == other.delivered, "pieces change no message"
    assert talk.budget.left == 4 * MESSAGE_SIZE
    replies = heard.decode("ascii").split("\r\n")
    assert replies.pop() == ""
    assert all(reply.isprintable() and len(reply) <= LONGEST_REPLY for reply in replies)
    assert all(reply[:3].isdigit() and reply[3] in " -" for reply in replies)
    granted = sum(reply == "250 2.0.0 delivered" for reply in replies)
    assert granted <= len(talk.delivered)
    for owner, message in talk.delivered:
        assert owner in OWNERS
        assert len(message) <= MESSAGE_SIZE
        assert not (busy and owner == "bob@example.com")


TARGETS = {
    "delivery": Target(
        "Whatever a client of LMTP or SMTP says, in whatever pieces, it gets the same replies, and "
        "the same messages are delivered; none is granted that is not, and memory comes back.",
        delivery,
        (
            (lines, "MAX_DISCARD", ENDLESS),
            (session, "EXTENDED_COMMAND", 200),
            (session, "BASIC_COMMAND", 100),
        ),
        40_000,
    ),
}
