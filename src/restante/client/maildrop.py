"""What both faces of the client share: opening an account, its messages, their sizes, the end."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from restante.client import login
from restante.client import session as sessions
from restante.client.options import Target, parse_url
from restante.client.session import Session
from restante.client.tls import DEMO, unverified
from restante.protocol import client
from restante.protocol.by_hand import by_hand
from restante.protocol.dialogue import carry_out, pipelined
from restante.protocol.errors import LocalError
from restante.protocol.failures import BadReply, Denied, Insecure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restante.client.mechanisms import Credentials
    from restante.protocol.dialogue import Dialogue, Status


class SizeWarning(UserWarning):
    """A message whose octets are not as many as LIST said."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message as the server lists it."""

    number: int  # 1-based, for this session only
    size: int  # octets as LIST counts them
    uid: str | None  # None where the server has no UIDL


class Listed:
    """What both faces' messages have.

    Attributes:
        number: 1-based, good for this session.
        size: octets as LIST counts them.
        uid: its unique-id, None where the server has none.
    """

    def __init__(self, entry: Entry) -> None:
        self.number, self.size, self.uid = entry.number, entry.size, entry.uid

    def __repr__(self) -> str:
        return f"<message {self.number}: {self.size} octets, uid {self.uid!r}>"


@dataclass(slots=True)
class Box:
    """The state of an open maildrop: what is in it, what is marked, whether it was looked into."""

    session: Session
    entries: dict[int, Entry] = field(default_factory=dict)
    marked: set[int] = field(default_factory=set)
    retrieved: bool = False

    @property
    def may_quit(self) -> bool:
        """Whether QUIT removes nothing: neither what was marked nor, by policy, what was read."""
        return not self.marked and not self.retrieved and not self.session.peer.broken


def target_of(account: str | Target) -> Target:
    """Return where an account's maildrop is: a URL says it, an address is looked up.

    Raises ValueError: it is neither. Raises Unreachable: nothing is known of its domain.
    """
    if isinstance(account, Target):
        return account
    if "://" in account:
        return parse_url(account)
    from restante.client import lookup

    return lookup.target_of(account)


def open_(session: Session, credentials: Credentials) -> Dialogue[Box]:
    """Log in and list the messages. Raises RemoteError."""
    yield from sessions.open_(session)
    yield from login.log_in(session, credentials)
    return (yield from load(session))


def load(session: Session) -> Dialogue[Box]:
    """List the messages of a session that is logged in."""
    peer = session.peer
    peer.phase = "mailbox"
    sizes = yield from carry_out(peer, client.list_())
    uids: dict[int, str] = {}
    try:
        uids = yield from carry_out(peer, client.uidl())
    except Denied:
        peer.note("<", "(no unique-ids)")
    entries = {number: Entry(number, size, uids.get(number)) for number, size in sizes.items()}
    return Box(session, entries)


def headers(box: Box, numbers: Iterable[int], lines: int = 0) -> Dialogue[list[bytes | Denied]]:
    """Return the heads of messages by TOP; in one go where the server takes commands ahead."""
    session = box.session
    session.peer.phase = "message"
    operations = [client.top(number, lines) for number in numbers]
    window = session.options.window if session.can_pipeline else 0
    return (yield from pipelined(session.peer, operations, window))


def retrieve(box: Box, number: int) -> Dialogue[client.Received]:
    """Give a message's octets as chunks, and compare their number with LIST's.

    Raises BadReply: the reply went on behind its end (not-stuffed), or, where the options want an
    error, the size is another (list-size). Issues SizeWarning where they want a warning.
    """
    session = box.session
    session.peer.phase = "message"
    size = box.entries[number].size if number in box.entries else None
    box.retrieved = True
    received = yield from carry_out(session.peer, client.retr(number, size))
    check_end(session, number, received)
    if size is not None and received.octets != size:
        text = f"message {number} has {received.octets} octets; LIST said {size}"
        if session.options.wrong_size == "error":
            raise session.peer.fail(BadReply, "list-size", text)
        warnings.warn(text, SizeWarning, stacklevel=2)
    return received


def check_end(session: Session, number: int, received: client.Received) -> None:
    """Make sure that a message's end was its end. Raises BadReply."""
    if received.behind:
        text = (
            f"message {number} goes on behind line {received.lines}, "
            "which the server took for its end: a dot was not stuffed"
        )
        raise session.peer.fail(BadReply, "not-stuffed", text)


def mark(box: Box, number: int) -> Dialogue[None]:
    """Mark a message, to be removed by `commit`. RFC 1939 section 5."""
    box.session.peer.phase = "mailbox"
    yield from carry_out(box.session.peer, client.dele(number))
    box.marked.add(number)


def unmark(box: Box) -> Dialogue[None]:
    """Take all marks away. RFC 1939 section 5."""
    box.session.peer.phase = "mailbox"
    yield from carry_out(box.session.peer, client.rset())
    box.marked.clear()


def typed(box: Box, line: str) -> Dialogue[Status]:
    """Carry out a line that a person typed, and keep count of what it marks and fetches."""
    status = yield from carry_out(box.session.peer, by_hand(line))
    verb, _, argument = line.strip().upper().partition(" ")
    if status.ok:
        if verb == "DELE":  # what is marked by no number nobody knows: call it 0
            box.marked.add(int(argument) if argument.strip().isdecimal() else 0)
        elif verb == "RSET":
            box.marked.clear()
        box.retrieved = box.retrieved or verb == "RETR"
        box.session.peer.broken = box.session.peer.broken or verb == "QUIT"
    return status


def commit(box: Box) -> Dialogue[None]:
    """QUIT, and so remove what is marked. Raises Denied: some of it is still there (quit-err)."""
    session = box.session
    try:
        if session.peer.inbox:
            raise session.peer.fail(
                BadReply, "desync", "more replies than commands: nothing removed"
            )
        yield from sessions.leave(session)
    finally:
        session.peer.broken = True


def for_demo(error: Exception, session: Session) -> Session | None:
    """Return a session for another try, where the server is Restante's demo on this machine.

    A password may go to this machine in clear; then its own certificate is no worse. Who named what
    the certificate must be, or a name that it must have, gets that.
    """
    target, options = session.target, session.options
    if not (isinstance(error, Insecure) and error.id == "tls-selfsigned" and target.loopback):
        return None
    if options.pin or options.server_name or options.context is not None:
        return None
    return Session(target, replace(options, context=unverified(), pin=DEMO))


def entry_of(box: Box, number: int) -> Entry:
    """Return a message by its number. Raises LocalError: there is none."""
    if number not in box.entries:
        raise LocalError(f"there is no message {number}: there are {len(box.entries)}")
    return box.entries[number]
