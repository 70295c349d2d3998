"""One function a command.

A handler that needs nothing returns the reply's octets; one that does is a generator of needs which
returns them. Raising Refused makes the reply -ERR. RFC 1939 sections 4 to 7, RFC 2449.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.protocol import body
from restante.protocol.capabilities import announced
from restante.protocol.needs import Acquire, Open, Reply, Stream, Update, Verify
from restante.protocol.replies import listing, ok
from restante.protocol.state import End, State, View

if TYPE_CHECKING:
    from restante.protocol.secret import Secret
    from restante.protocol.state import Session


def capa(session: Session) -> bytes:
    """List what the server can do. RFC 2449 section 5."""
    return listing(ok("Capability list follows."), announced(session))


def user(session: Session, name: str) -> bytes:
    """Take the name, known or not: to say so would give names away. RFC 1939 section 13."""
    session.user = name
    return ok()


def pass_(session: Session, password: Secret) -> Reply:
    """Log in: prove the password, then lock and open the maildrop. RFC 1939 sections 4 and 7."""
    session.identity = yield from Verify(session.user, password)
    session.view = View((yield from Acquire(session.identity)))
    session.state = State.TRANSACTION
    return ok("Logged in.")


def stat(session: Session) -> bytes:
    """Count the messages that are not marked. RFC 1939 section 5."""
    return ok(f"{session.view.count} {session.view.octets}")


def list_(session: Session, number: int | None) -> bytes:
    """Give the size of one message, or of all that are not marked. RFC 1939 section 5."""
    view = session.view
    if number is not None:
        return ok(f"{number} {view.contents.sizes[view.index(number)]}")
    lines = view.contents.scan_listings
    return listing(ok(f"{view.count} messages:"), (lines[i] for i in view.unmarked()))


def uidl(session: Session, number: int | None) -> bytes:
    """Give the unique-id of one message, or of all that are not marked. RFC 1939 section 7."""
    view = session.view
    if number is not None:
        return ok(f"{number} {view.contents.uids[view.index(number)]}")
    lines = view.contents.uid_listings
    return listing(ok(), (lines[i] for i in view.unmarked()))


def retr(session: Session, number: int) -> Reply:
    """Send a whole message. RFC 1939 section 5."""
    index = session.view.index(number)
    stored = yield from Open(index)
    status = ok(f"{session.view.contents.sizes[index]} octets")
    if isinstance(stored, bytes):
        reply, octets = body.whole(stored)
        reply = status + reply
    else:
        wire = body.WireForm()
        yield from Stream(status, stored, wire)
        reply, octets = b"", wire.octets
    session.retrieved += 1
    session.view.note_size(index, octets)
    return reply


def top(session: Session, number: int, lines: int) -> Reply:
    """Send a message's header and so many lines of its body. RFC 1939 section 7."""
    stored = yield from Open(session.view.index(number), lines)
    if isinstance(stored, bytes):
        return ok() + body.top(stored, lines)
    yield from Stream(ok(), stored, body.TopWireForm(lines))
    return b""


def dele(session: Session, number: int) -> bytes:
    """Mark a message; only QUIT removes it. RFC 1939 section 5."""
    session.view.marked.add(session.view.index(number))
    return ok("Marked to be deleted.")


def rset(session: Session) -> bytes:
    """Take all marks away. RFC 1939 section 5."""
    session.view.marked.clear()
    return ok()


def noop(_session: Session) -> bytes:
    """Do nothing, but restart the clock. RFC 1939 section 5."""
    return ok()


def quit_(session: Session) -> bytes:
    """End a session that never logged in. RFC 1939 section 4."""
    session.end = End.QUIT
    return ok("Logging out.")


def quit_and_update(session: Session) -> Reply:
    """Remove what is marked, and say so when it is durable. RFC 1939 section 6.

    This is the only place that asks for a removal.
    """
    session.state = State.UPDATE
    session.end = End.UPDATE_FAILED
    yield from Update(tuple(sorted(session.view.marked)))
    session.end = End.QUIT
    return ok("Logging out.")
