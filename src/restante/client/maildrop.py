"""What both faces of the client share: opening an account, its messages, their sizes, the end."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.client import login
from restante.client import session as sessions
from restante.client.options import Target, parse_url
from restante.client.reasons import named
from restante.protocol import client
from restante.protocol.by_hand import by_hand
from restante.protocol.dialogue import LISTING_LIMIT, Glance, carry_out, pipelined
from restante.protocol.errors import LocalError
from restante.protocol.failures import BadReply, Denied, Lost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restante.client.mechanisms import Credentials
    from restante.client.session import Session
    from restante.protocol.dialogue import Dialogue, Peer, Status


_PASSED_OVER = ("restante.client.", "contextlib")  # modules that only hand on what was asked for


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


def target_of(account: str | Target, seconds: float | None = None) -> Target:
    """Return where an account's maildrop is: a URL says it, an address is looked up.

    The look-up takes so many seconds at most. Raises ValueError: it is neither. Raises Unreachable:
    nothing is known of its domain. Raises OtherDomain: only the DNS names the server.
    """
    if isinstance(account, Target):
        return account
    if "://" in account:
        return parse_url(account)
    from restante.client import lookup

    return lookup.target_of(account, lookup.SECONDS if seconds is None else seconds)


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


def _next(box: Box, phase: str, seconds: float = 0) -> Dialogue[Peer]:
    """Begin a command in a phase. What came since the last reply nobody asked for. Raises BadReply.

    Raises Lost: it was an -ERR, by which a server takes its leave.
    """
    peer = box.session.peer
    peer.inbox += yield Glance(seconds)
    extra = peer.excerpt(bytes(peer.inbox))
    if extra.startswith("-ERR"):
        raise peer.fail(Lost, "conn-lost", f'the server ended the session: "{extra}"')
    if peer.inbox:
        text = f'more replies than commands: behind the answer to {peer.command} came "{extra}"'
        raise peer.fail(BadReply, "desync", text)
    peer.phase = phase
    return peer


def headers(
    box: Box, numbers: Iterable[int], lines: int = 0, keep: int = LISTING_LIMIT
) -> Dialogue[list[bytes | Denied]]:
    """Return the heads of messages by TOP; in one go where the server takes commands ahead.

    Of each the first `keep` octets are kept. Raises BadReply: one, or all together, have more
    octets than a list may have.
    """
    session = box.session
    operations = [client.top(number, lines, keep) for number in numbers]
    kept = 0

    def count(head: bytes | Denied) -> None:
        nonlocal kept
        kept += len(head) if isinstance(head, bytes) else 0
        if kept > LISTING_LIMIT:
            text = f"heads of {kept} octets together: ask for fewer, or keep less of each"
            raise peer.fail(BadReply, "bad-reply", text)

    window = session.options.window if session.can_pipeline else 0
    peer = yield from _next(box, "message")
    heads = yield from pipelined(peer, operations, window, count)
    for head in heads:
        if isinstance(head, Denied):
            named(head, session.capabilities, tls=session.tls is not None)
    return heads


def retrieve(box: Box, number: int) -> Dialogue[client.Received]:
    """Give a message's octets as chunks. Raises BadReply: it goes on behind its end (not-stuffed).

    Whoever asked compares its size with LIST's by `check_size`, once this is over.
    """
    session = box.session
    size = box.entries[number].size if number in box.entries else None
    peer = yield from _next(box, "message")
    box.retrieved = True
    received = yield from carry_out(peer, client.retr(number, size))
    check_end(session, number, received)
    return received


def check_size(box: Box, number: int, received: client.Received) -> None:
    """Compare a message's size with LIST's. The connection is in step whatever comes of it.

    Raises BadReply: it is another (list-size), and the options want an error. Issues SizeWarning
    where they want a warning, which names the line outside of this package that asked.
    """
    size = box.entries[number].size if number in box.entries else received.octets
    if received.octets == size:
        return
    text = f"message {number} has {received.octets} octets; LIST said {size}"
    if box.session.options.wrong_size == "error":
        raise BadReply("list-size", text, phase="message", command=f"RETR {number}")
    warnings.warn(text, SizeWarning, stacklevel=_frames_inside())


def _frames_inside() -> int:
    """Return how many frames up from `check_size` the first one outside of this package is."""
    level, frame = 0, inspect.currentframe()
    while frame and str(frame.f_globals.get("__name__")).startswith(_PASSED_OVER):
        level, frame = level + 1, frame.f_back
    return level


def check_end(session: Session, number: int, received: client.Received) -> None:
    """Make sure that a message's end was its end. Raises BadReply."""
    if received.behind:
        text = (
            f"message {number} goes on behind line {received.lines}, "
            "which the server took for its end: a dot was not stuffed"
        )
        raise session.peer.fail(BadReply, "not-stuffed", text)


def mark(box: Box, number: int) -> Dialogue[None]:
    """Mark a message, to be removed by `commit`. RFC 1939 section 5.

    It counts as marked from the command on: the server may have heard it, come a reply or not.
    """
    operation = client.dele(number)
    peer = yield from _next(box, "mailbox")
    before = frozenset(box.marked)
    box.marked.add(number)
    try:
        yield from carry_out(peer, operation)
    except Denied:
        box.marked &= before
        raise


def unmark(box: Box) -> Dialogue[None]:
    """Take all marks away. RFC 1939 section 5."""
    peer = yield from _next(box, "mailbox")
    yield from carry_out(peer, client.rset())
    box.marked.clear()


def typed(box: Box, line: str) -> Dialogue[Status]:
    """Carry out a line that a person typed, and keep count of what it marks and fetches."""
    operation = by_hand(line)
    peer = yield from _next(box, box.session.peer.phase)
    status = yield from carry_out(peer, operation)
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
    """QUIT, and so remove what is marked. Raises Denied: some of it is still there (quit-err).

    Raises BadReply or Lost before QUIT: replies and commands are not in step, or the server has
    ended the session; nothing is removed.
    """
    try:
        yield from _next(box, "quit", client.LINGER if box.retrieved else 0)
        yield from sessions.leave(box.session)
    finally:
        box.session.peer.broken = True


def entry_of(box: Box, number: int) -> Entry:
    """Return a message by its number. Raises LocalError: there is none."""
    if number not in box.entries:
        raise LocalError(f"there is no message {number}: there are {len(box.entries)}")
    return box.entries[number]
